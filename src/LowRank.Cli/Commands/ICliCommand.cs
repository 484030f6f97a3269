using System.CommandLine;

namespace LowRank.Cli.Commands;

/// <summary>One command; found by its type.</summary>
internal interface ICliCommand
{
    /// <summary>A command line that works, shown in the command's help.</summary>
    string Example { get; }

    /// <summary>The command with its options and action.</summary>
    Command Build();
}
