using System.CommandLine;

namespace LowRank.Cli.Commands;

/// <summary>Runs a command's work and turns its errors into messages and exit codes.</summary>
internal static class CommandAction
{
    /// <summary>Sets what a command does.</summary>
    public static Command Does(this Command command, Func<ParseResult, int> work)
    {
        command.SetAction(parsed =>
        {
            try
            {
                return work(parsed);
            }
            catch (InputException e)
            {
                return Report(parsed, e, ExitCodes.BadInput);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                return Report(parsed, e, ExitCodes.Failed);
            }
        });
        return command;
    }

    /// <summary>Sets what a command does when it has no result of its own.</summary>
    public static Command Does(this Command command, Action<ParseResult> work) => command.Does(parsed =>
    {
        work(parsed);
        return ExitCodes.Success;
    });

    private static int Report(ParseResult parsed, Exception e, int exitCode)
    {
        Console.Error.WriteLine(parsed.GetValue(GlobalOptions.Verbose) ? e.ToString() : $"error: {e.Message}");
        return exitCode;
    }
}
