//! The table of attributes of a `systemd.network.networks` value and the part of a .network file each stands for: those
//! of nixpkgs, with the names older nixpkgs used.

/// How an attribute is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The settings of the section of this name.
    Section(&'static str),
    /// A list of sections of this name; older NixOS nests the settings of each in one more attribute.
    Sections(&'static str, &'static str),
    /// The values of this setting in [Network].
    Values(&'static str),
    /// Lines, as they stand in the file.
    Lines,
}

/// One attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) form: Form,
}

macro_rules! known {
    ($($name:literal $form:expr),* $(,)?) => {
        /// Every attribute, in the order of the file.
        pub(super) static KNOWN: &[Known] = &[$(Known { name: $name, form: $form }),*];
        /// The names of all attributes.
        pub(super) const NAMES: &[&str] = &[$($name),*];
    };
}

use Form::{Lines as Text, Section as One, Sections as Many, Values as Value};

known! {
    "matchConfig" One("Match"),
    "linkConfig" One("Link"),
    "networkConfig" One("Network"),
    "DHCP" Value("DHCP"),
    "domains" Value("Domains"),
    "address" Value("Address"),
    "gateway" Value("Gateway"),
    "dns" Value("DNS"),
    "ntp" Value("NTP"),
    "bridge" Value("Bridge"),
    "bond" Value("Bond"),
    "vrf" Value("VRF"),
    "vlan" Value("VLAN"),
    "macvlan" Value("MACVLAN"),
    "macvtap" Value("MACVTAP"),
    "vxlan" Value("VXLAN"),
    "tunnel" Value("Tunnel"),
    "xfrm" Value("Xfrm"),
    "addresses" Many("Address", "addressConfig"),
    "routingPolicyRules" Many("RoutingPolicyRule", "routingPolicyRuleConfig"),
    "routes" Many("Route", "routeConfig"),
    "dhcpV4Config" One("DHCPv4"),
    "dhcpV6Config" One("DHCPv6"),
    "dhcpPrefixDelegationConfig" One("DHCPPrefixDelegation"),
    "ipv6AcceptRAConfig" One("IPv6AcceptRA"),
    "dhcpServerConfig" One("DHCPServer"),
    "ipv6SendRAConfig" One("IPv6SendRA"),
    "ipv6PREF64Prefixes" Many("IPv6PREF64Prefix", "ipv6PREF64PrefixConfig"),
    "ipv6Prefixes" Many("IPv6Prefix", "ipv6PrefixConfig"),
    "ipv6RoutePrefixes" Many("IPv6RoutePrefix", "ipv6RoutePrefixConfig"),
    "dhcpServerStaticLeases" Many("DHCPServerStaticLease", "dhcpServerStaticLeaseConfig"),
    "bridgeConfig" One("Bridge"),
    "bridgeFDBs" Many("BridgeFDB", "bridgeFDBConfig"),
    "bridgeMDBs" Many("BridgeMDB", "bridgeMDBConfig"),
    "lldpConfig" One("LLDP"),
    "canConfig" One("CAN"),
    "ipoIBConfig" One("IPoIB"),
    "qdiscConfig" One("QDisc"),
    "networkEmulatorConfig" One("NetworkEmulator"),
    "tokenBucketFilterConfig" One("TokenBucketFilter"),
    "pieConfig" One("PIE"),
    "flowQueuePIEConfig" One("FlowQueuePIE"),
    "stochasticFairBlueConfig" One("StochasticFairBlue"),
    "stochasticFairnessQueueingConfig" One("StochasticFairnessQueueing"),
    "bfifoConfig" One("BFIFO"),
    "pfifoConfig" One("PFIFO"),
    "pfifoHeadDropConfig" One("PFIFOHeadDrop"),
    "pfifoFastConfig" One("PFIFOFast"),
    "cakeConfig" One("CAKE"),
    "controlledDelayConfig" One("ControlledDelay"),
    "deficitRoundRobinSchedulerConfig" One("DeficitRoundRobinScheduler"),
    "deficitRoundRobinSchedulerClassConfig" One("DeficitRoundRobinSchedulerClass"),
    "enhancedTransmissionSelectionConfig" One("EnhancedTransmissionSelection"),
    "genericRandomEarlyDetectionConfig" One("GenericRandomEarlyDetection"),
    "fairQueueingControlledDelayConfig" One("FairQueueingControlledDelay"),
    "fairQueueingConfig" One("FairQueueing"),
    "trivialLinkEqualizerConfig" One("TrivialLinkEqualizer"),
    "hierarchyTokenBucketConfig" One("HierarchyTokenBucket"),
    "hierarchyTokenBucketClassConfig" One("HierarchyTokenBucketClass"),
    "heavyHitterFilterConfig" One("HeavyHitterFilter"),
    "quickFairQueueingConfig" One("QuickFairQueueing"),
    "quickFairQueueingConfigClass" One("QuickFairQueueingClass"),
    "bridgeVLANs" Many("BridgeVLAN", "bridgeVLANConfig"),
    "extraConfig" Text,
}

/// The sections of `systemd.network(5)` that have no attribute.
pub(super) const FURTHER_SECTIONS: [&str; 5] =
    ["IPv6AddressLabel", "MobileNetwork", "Neighbor", "NextHop", "SR-IOV"];
