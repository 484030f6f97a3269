using System.CommandLine;

namespace LowRank.Cli.Common;

/// <summary>Options that every command has.</summary>
public static class GlobalOptions
{
    /// <summary>Shows where an error happened.</summary>
    public static Option<bool> Verbose { get; } =
        new("--verbose") { Description = "Show where in the program an error happened.", Recursive = true };
}
