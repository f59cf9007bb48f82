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
      How much memory the container can use; processes inside are killed when that is not enough (`MemoryMax=`).
      Percentages are of the host's memory.
    '';
  };

  memoryHigh = mkOption {
    type = own.nullOr own.memory;
    default = null;
    example = "1536M";
    description = "From how much memory on the container is slowed down and its memory reclaimed (`MemoryHigh=`).";
  };

  cpuQuota = mkOption {
    type = own.nullOr own.percentage;
    default = null;
    example = "150%";
    description = "How much time of one processor the container can use; more than 100% is more than one (`CPUQuota=`).";
  };

  cpuWeight = mkOption {
    type = own.nullOr own.cpuWeight;
    default = null;
    example = 50;
    description = "The share of the processors where they are short, 100 for other units (`CPUWeight=`).";
  };

  ioWeight = mkOption {
    type = own.nullOr own.weight;
    default = null;
    example = 50;
    description = "The share of the disks where they are short, 100 for other units (`IOWeight=`).";
  };

  tasksMax = mkOption {
    type = own.nullOr own.tasks;
    default = null;
    example = 4096;
    description = "How many processes and threads the container can have (`TasksMax=`).";
  };

  oomScoreAdjust = mkOption {
    type = own.nullOr (own.intBetween (-1000) 1000);
    default = null;
    example = 500;
    description = ''
      How early the kernel kills the container's processes when memory ends: the higher, the earlier
      (`OOMScoreAdjust=`).
    '';
  };

  rlimits = mkOption {
    type = own.rlimits;
    default = { };
    example.NOFILE = "1024:4096";
    description = ''
      Resource limits of the container's first process, which its services inherit (`LimitNOFILE=` and so on in
      {manpage}`systemd.nspawn(5)`).
    '';
  };
}
