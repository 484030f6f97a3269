using System.CommandLine;
using System.CommandLine.Help;
using LowRank.Cli.Bench;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;

namespace LowRank.Cli;

/// <summary>The command line <c>lowrank</c>.</summary>
internal static class CommandLineApplication
{
    /// <summary>Runs a command.</summary>
    /// <returns>0, 1 for a failed run, 2 for bad usage or input, 129, 130 and 143 for a run that a signal
    /// ended.</returns>
    public static int Run(string[] arguments)
    {
        var root = new RootCommand(
            "LowRank: low-rank adaptation (LoRA) of pretrained language models for .NET.") { GlobalOptions.Verbose };
        var examples = new Dictionary<Command, string>();
        foreach (ICliCommand command in Commands())
        {
            Command built = command.Build();
            root.Add(built);
            examples.Add(built, command.Example);
        }
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            foreach (string message in parsed.Errors.Select(error => error.Message).Distinct())
                Console.Error.WriteLine(message);
            string name = parsed.CommandResult.Command is RootCommand ? "" : parsed.CommandResult.Command.Name + " ";
            Console.Error.WriteLine($"See 'lowrank {name}--help'.");
            return ExitCodes.BadInput;
        }
        int exitCode = parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        if (parsed.Action is HelpAction && examples.TryGetValue(parsed.CommandResult.Command, out string? example))
            Console.WriteLine($"Example:\n  {example}\n");
        return exitCode;
    }

    // Sorted by name, as in the help.
    internal static IReadOnlyList<ICliCommand> Commands() =>
    [
        new BenchCommand(), new ChatCommand(), new CombineCommand(), new ConvertCommand(), new DataCommand(),
        new DiffCommand(), new EstimateCommand(), new EvalCommand(), new ExportCommand(), new ExtractCommand(),
        new GenerateCommand(), new InitCommand(), new InspectCommand(), new LogitsCommand(), new MergeCommand(),
        new PredictCommand(),
        new PushCommand(), new QuantizeCommand(), new ReportCommand(), new ResizeCommand(), new RunsCommand(),
        new SchemaCommand(), new ServeCommand(), new SweepCommand(), new TokenizeCommand(), new TrainCommand(),
        new ValidateCommand(),
    ];
}
