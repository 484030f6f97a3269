namespace LowRank.Cli.Common;

/// <summary>What the process ends with.</summary>
public static class ExitCodes
{
    /// <summary>All went well.</summary>
    public const int Success = 0;

    /// <summary>The run failed.</summary>
    public const int Failed = 1;

    /// <summary>The usage or the input was wrong.</summary>
    public const int BadInput = 2;

    /// <summary>SIGHUP ended it: its terminal was closed.</summary>
    public const int HungUp = 129;

    /// <summary>SIGINT ended it, as shells name it: 128 and the signal's number.</summary>
    public const int Interrupted = 130;

    /// <summary>SIGTERM ended it.</summary>
    public const int Terminated = 143;
}
