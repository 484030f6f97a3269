using System.CommandLine;
using LowRank.Cli.Commands;

namespace LowRank.Cli;

/// <summary>The command line <c>lowrank</c>.</summary>
internal static class CommandLineApplication
{
    /// <summary>Runs a command.</summary>
    /// <returns>0, 1 for a failed run, 2 for bad usage or input.</returns>
    public static int Run(string[] arguments)
    {
        var root = new RootCommand("LowRank: low-rank adaptation (LoRA) of pretrained language models for .NET.") { GlobalOptions.Verbose };
        foreach (ICliCommand command in Commands()) root.Add(command.Build());
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            foreach (string message in parsed.Errors.Select(error => error.Message).Distinct()) Console.Error.WriteLine(message);
            string name = parsed.CommandResult.Command is RootCommand ? "" : parsed.CommandResult.Command.Name + " ";
            Console.Error.WriteLine($"See 'lowrank {name}--help'.");
            return ExitCodes.BadInput;
        }
        return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    }

    // Found by type: a new command is a file.
    private static IEnumerable<ICliCommand> Commands() => typeof(ICliCommand).Assembly.GetTypes()
        .Where(type => type.IsClass && type.IsAssignableTo(typeof(ICliCommand)))
        .OrderBy(type => type.Name, StringComparer.Ordinal)
        .Select(type => (ICliCommand)Activator.CreateInstance(type)!);
}
