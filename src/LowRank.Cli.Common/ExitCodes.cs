namespace LowRank.Cli.Common;

/// <summary>The exit codes of the process.</summary>
public static class ExitCodes
{
    /// <summary>Success.</summary>
    public const int Success = 0;

    /// <summary>The run failed.</summary>
    public const int Failed = 1;

    /// <summary>The usage or the input was wrong.</summary>
    public const int BadInput = 2;

    /// <summary>SIGHUP ended the run: its terminal was closed.</summary>
    public const int HungUp = 129;

    /// <summary>SIGINT ended the run; like shells, 128 plus the signal's number.</summary>
    public const int Interrupted = 130;

    /// <summary>SIGTERM ended the run.</summary>
    public const int Terminated = 143;
}
