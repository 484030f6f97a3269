using System.Reflection;
using System.Text.RegularExpressions;
using LowRank.Hub;
using LowRank.Training;

namespace LowRank.Cli.Common;

/// <summary>What a command says of an error. Those of the input say all there is to say; an error that nobody expected
/// is a fault of the program, and says so.</summary>
public static partial class FailureMessage
{
    private const int Longest = 2000; // a message that quotes a whole file helps nobody

    private const string Fault =
        "This is a fault of LowRank, not of what you gave it, whose errors have words of their own. "
        + "Run the command again with --verbose to see where it came from, and report it with what you gave.";

    /// <summary>Writes the message.</summary>
    /// <param name="failure">The error.</param>
    /// <param name="isVerbose">Whether it says where in the program it came from.</param>
    /// <param name="to">Standard error.</param>
    /// <returns>The exit code.</returns>
    public static int Report(Exception failure, bool isVerbose, TextWriter to)
    {
        Exception cause = Cause(failure);
        if (isVerbose) to.WriteLine(failure);
        else if (cause is InputException) to.WriteLine($"error: {cause.Message}");
        else if (OutOfMemory(cause) is { } memory) to.WriteLine($"error: {memory}");
        else if (IsPartMissing(cause))
            to.WriteLine(
                $"error: a part of the program itself is missing or damaged: {FirstLines(cause.Message)} Install " +
                "LowRank again.");
        else if (IsOfTheWorld(cause)) to.WriteLine($"error: {cause.Message}");
        else to.WriteLine($"error: {FirstLines(cause.Message)} ({cause.GetType().Name})\n{Fault}");
        return cause is InputException ? ExitCodes.BadInput : ExitCodes.Failed;
    }

    // What other exceptions are only wrapped around.
    private static Exception Cause(Exception failure) =>
        failure is AggregateException or TypeInitializationException or TargetInvocationException
            && failure.InnerException is { } inner ? Cause(inner) : failure;

    // Errors that no program can prevent, and whose messages say what to do.
    private static bool IsOfTheWorld(Exception failure) =>
        failure is HubException or NonFiniteException or NonFiniteLossException or IOException
        or UnauthorizedAccessException or OperationCanceledException;

    private static bool IsPartMissing(Exception failure) =>
        failure is DllNotFoundException or BadImageFormatException or FileLoadException
        || failure is FileNotFoundException { FileName: { } name }
        && name.Contains(", Version=", StringComparison.Ordinal);

    private static string? OutOfMemory(Exception failure)
    {
        bool isNative = failure.Message.Contains("can't allocate memory", StringComparison.Ordinal)
            || failure.Message.Contains("CUDA out of memory", StringComparison.Ordinal)
            || failure.Message.Contains("not enough memory", StringComparison.Ordinal);
        if (failure is not OutOfMemoryException && !isNative) return null;
        string wanted = Bytes().Match(failure.Message) is { Success: true } asked
            ? $" for {asked.Groups["bytes"].Value}" : "";
        return $"the memory is not enough{wanted}. Take fewer rows at a time (--batch-size, training.batch_size), " +
            "shorter texts, a lower rank, a smaller model, or a base in fewer bytes (--base-dtype, base_dtype).";
    }

    // libtorch puts the frames of its own C++ below the message.
    private static string FirstLines(string message)
    {
        int frames = message.IndexOf("Exception raised from", StringComparison.Ordinal);
        string words = (frames > 0 ? message[..frames] : message).Trim();
        return words.Length <= Longest ? words : words[..Longest] + " …";
    }

    [GeneratedRegex("allocate (?<bytes>[0-9.]+ ?([KMGTP]i?B|bytes))", RegexOptions.ExplicitCapture)]
    private static partial Regex Bytes();
}
