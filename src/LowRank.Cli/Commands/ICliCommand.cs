using System.CommandLine;

namespace LowRank.Cli.Commands;

/// <summary>One command; found by its type.</summary>
internal interface ICliCommand
{
    /// <summary>The command with its options and action.</summary>
    Command Build();
}
