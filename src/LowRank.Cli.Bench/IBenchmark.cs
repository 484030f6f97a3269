using System.CommandLine;

namespace LowRank.Cli.Bench;

/// <summary>A subcommand of <c>lowrank bench</c>, listed in <see cref="BenchCommand"/>.</summary>
internal interface IBenchmark
{
    /// <summary>The command with its options and action.</summary>
    Command Build();
}
