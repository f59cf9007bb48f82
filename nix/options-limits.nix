# The options of a container that limit its use of the host's resources.
{ lib }:
let
  inherit (lib) mkOption;
  own = import ./types.nix { inherit lib; };
in
{
  memoryMax = mkOption {
    type = own.nullOr own.memory;
    default = null;
    example = "2G";
    description = ''
      The most memory that the container can use, above which its processes are killed (`MemoryMax=`). Percentages are
      relative to the host's memory.
    '';
  };

  memoryHigh = mkOption {
    type = own.nullOr own.memory;
    default = null;
    example = "1536M";
    description = ''
      The amount of memory above which the container is slowed down and its memory reclaimed (`MemoryHigh=`).
    '';
  };

  cpuQuota = mkOption {
    type = own.nullOr own.percentage;
    default = null;
    example = "150%";
    description = ''
      The most processor time that the container can use: 100% is one processor, 200% are two (`CPUQuota=`).
    '';
  };

  cpuWeight = mkOption {
    type = own.nullOr own.cpuWeight;
    default = null;
    example = 50;
    description = ''
      The container's share of processor time when processors are busy; other units have 100 (`CPUWeight=`).
    '';
  };

  ioWeight = mkOption {
    type = own.nullOr own.weight;
    default = null;
    example = 50;
    description = "The container's share of disk bandwidth when disks are busy; other units have 100 (`IOWeight=`).";
  };

  tasksMax = mkOption {
    type = own.nullOr own.tasks;
    default = null;
    example = 4096;
    description = "The most processes and threads that the container can have (`TasksMax=`).";
  };

  oomScoreAdjust = mkOption {
    type = own.nullOr (own.intBetween (-1000) 1000);
    default = null;
    example = 500;
    description = ''
      How soon the kernel kills the container's processes when memory runs out: the higher, the sooner
      (`OOMScoreAdjust=`).
    '';
  };

  rlimits = mkOption {
    type = own.rlimits;
    default = { };
    example.NOFILE = "1024:4096";
    description = ''
      Resource limits of the container's first process, which services inherit (`LimitNOFILE=` and so on in
      {manpage}`systemd.nspawn(5)`).
    '';
  };
}
