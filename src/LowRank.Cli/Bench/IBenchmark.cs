using System.CommandLine;

namespace LowRank.Cli.Bench;

/// <summary>A subcommand of <c>lowrank bench</c>; found by its type.</summary>
internal interface IBenchmark
{
    /// <summary>The command with its options and action.</summary>
    Command Build();
}
