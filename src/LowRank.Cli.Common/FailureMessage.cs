using System.CommandLine;
using System.Reflection;
using System.Text.RegularExpressions;
using LowRank.Hub;
using LowRank.Training;

namespace LowRank.Cli.Common;

/// <summary>The message for an error. Errors of the input and of the machine are reported as they are; any other error
/// is a bug, and its message says so.</summary>
public static partial class FailureMessage
{
    private const int Longest = 2000; // a longer message would quote a whole file

    private static readonly Setting BatchSize = new("training.batch_size", "the batch size"),
        BaseDtype = new("base_dtype", "the base dtype");

    private const string Fault =
        "This is a bug in LowRank, not an error in your input. Run the command again with --verbose to see where it " +
        "happened, and report it together with your input.";

    /// <summary>Writes the message.</summary>
    /// <param name="failure">The error.</param>
    /// <param name="isVerbose">Whether to show where in the program the error happened.</param>
    /// <param name="to">Standard error.</param>
    /// <param name="command">The command, whose options messages name; null outside of any.</param>
    /// <returns>The exit code.</returns>
    public static int Report(Exception failure, bool isVerbose, TextWriter to, Command? command = null)
    {
        Exception cause = Cause(failure);
        if (cause is IWorded worded) worded.Word(CommandWording.Of(command));
        if (isVerbose) to.WriteLine(failure);
        else if (cause is InputException input) to.WriteLine($"error: {input.Message}");
        else if (OutOfMemory(cause)?.In(CommandWording.Of(command)) is { } memory) to.WriteLine($"error: {memory}");
        else if (IsPartMissing(cause))
            to.WriteLine(
                $"error: a file of LowRank is missing or damaged: {FirstLines(cause.Message)} Reinstall LowRank.");
        else if (IsOfTheWorld(cause)) to.WriteLine($"error: {cause.Message}");
        else to.WriteLine($"error: {FirstLines(cause.Message)} ({cause.GetType().Name})\n{Fault}");
        return cause is InputException ? ExitCodes.BadInput : ExitCodes.Failed;
    }

    // The exception inside exceptions that only wrap another.
    private static Exception Cause(Exception failure) =>
        failure is AggregateException or TypeInitializationException or TargetInvocationException
            && failure.InnerException is { } inner ? Cause(inner) : failure;

    // Errors that the program cannot prevent and whose messages say what to do.
    private static bool IsOfTheWorld(Exception failure) =>
        failure is HubException or NonFiniteException or NonFiniteLossException or IOException
        or UnauthorizedAccessException or OperationCanceledException;

    private static bool IsPartMissing(Exception failure) =>
        failure is DllNotFoundException or BadImageFormatException or FileLoadException
        || failure is FileNotFoundException { FileName: { } name }
        && name.Contains(", Version=", StringComparison.Ordinal);

    private static Words? OutOfMemory(Exception failure)
    {
        bool isNative = failure.Message.Contains("can't allocate memory", StringComparison.Ordinal)
            || failure.Message.Contains("CUDA out of memory", StringComparison.Ordinal)
            || failure.Message.Contains("not enough memory", StringComparison.Ordinal);
        if (failure is not OutOfMemoryException && !isNative) return null;
        string wanted = Bytes().Match(failure.Message) is { Success: true } asked
            ? $" for {asked.Groups["bytes"].Value}" : "";
        return Words.Of(
            $"not enough memory{wanted}. Use a smaller batch{BatchSize.Aside}, shorter texts, a lower " +
            $"rank, a smaller model, or a smaller base dtype{BaseDtype.Aside}.");
    }

    // libtorch appends its C++ stack trace to the message.
    private static string FirstLines(string message)
    {
        int frames = message.IndexOf("Exception raised from", StringComparison.Ordinal);
        string words = (frames > 0 ? message[..frames] : message).Trim();
        return words.Length <= Longest ? words : words[..Longest] + " …";
    }

    [GeneratedRegex("allocate (?<bytes>[0-9.]+ ?([KMGTP]i?B|bytes))", RegexOptions.ExplicitCapture)]
    private static partial Regex Bytes();
}
