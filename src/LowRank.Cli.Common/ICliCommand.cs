using System.CommandLine;
using System.CommandLine.Invocation;

namespace LowRank.Cli.Common;

/// <summary>One command, listed in <see cref="CommandLineApplication"/>.</summary>
public interface ICliCommand
{
    /// <summary>A command line that works, shown in the command's help.</summary>
    string Example { get; }

    /// <summary>The command with its options and action.</summary>
    Command Build();
}

/// <summary>Runs a command after checking that all given options take effect, and turns its errors into messages and
/// exit codes.</summary>
public sealed class CommandAction(Func<ParseResult, int> work, IReadOnlyList<OptionUse> uses)
    : SynchronousCommandLineAction
{
    /// <summary>When each of the command's options takes effect.</summary>
    public IReadOnlyList<OptionUse> Uses { get; } = uses;

    /// <summary>Refuses options without effect and invalid values, all at once.</summary>
    /// <exception cref="InputException">There are some.</exception>
    public static void Require(IReadOnlyList<string> problems)
    {
        if (problems.Count > 0)
            throw problems.Count == 1 ? new InputException(problems[0] + ".")
                : new InputException("The options cannot be used:", problems);
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        try
        {
            Require(OptionUse.Problems(Uses, parseResult));
            return work(parseResult);
        }
        catch (Exception e)
        {
            return FailureMessage.Report(
                e, parseResult.GetValue(GlobalOptions.Verbose), Console.Error, parseResult.CommandResult.Command);
        }
    }
}

/// <summary>Sets what a command does.</summary>
public static class CommandActions
{
    /// <summary>Sets what a command does.</summary>
    /// <param name="command">The command.</param>
    /// <param name="work">Does the work and returns the exit code.</param>
    /// <param name="uses">When each of its options takes effect.</param>
    public static Command Does(this Command command, Func<ParseResult, int> work, params OptionUse[] uses)
    {
        command.Action = new CommandAction(work, uses);
        return command;
    }

    /// <summary>Sets what a command does when it always succeeds or throws.</summary>
    public static Command Does(this Command command, Action<ParseResult> work, params OptionUse[] uses) =>
        command.Does(parsed =>
    {
        work(parsed);
        return ExitCodes.Success;
    }, uses);

    /// <summary>Refuses options that have no effect with what the command has opened.</summary>
    /// <exception cref="InputException">There are some.</exception>
    public static void Require(this ParseResult parsed, object opened)
    {
        if (parsed.CommandResult.Command.Action is CommandAction action)
            CommandAction.Require(OptionUse.Problems(action.Uses, parsed, opened));
    }
}

/// <summary>Options that every command has.</summary>
public static class GlobalOptions
{
    /// <summary>Shows where an error happened.</summary>
    public static Option<bool> Verbose { get; } =
        new("--verbose") { Description = "Show where in the program an error happened.", Recursive = true };
}
