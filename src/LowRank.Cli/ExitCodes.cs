namespace LowRank.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCodes
{
    /// <summary>All went well.</summary>
    public const int Success = 0;

    /// <summary>The run failed.</summary>
    public const int Failed = 1;

    /// <summary>The usage or the input was wrong.</summary>
    public const int BadInput = 2;
}
