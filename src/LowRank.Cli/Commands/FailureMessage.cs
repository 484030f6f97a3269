using System.Runtime.InteropServices;
using System.Text.Json;
using LowRank.Hub;
using LowRank.Training;

namespace LowRank.Cli.Commands;

/// <summary>What a command says of an error. Those of the input say all there is to say; an error that nobody expected is a fault of the program, and says so.</summary>
internal static class FailureMessage
{
    private const int Longest = 2000; // a message that quotes a whole file helps nobody

    /// <summary>Writes the message.</summary>
    /// <param name="failure">The error.</param>
    /// <param name="isVerbose">Whether it says where in the program it came from.</param>
    /// <param name="to">Standard error.</param>
    /// <returns>The exit code.</returns>
    public static int Report(Exception failure, bool isVerbose, TextWriter to)
    {
        bool isInput = failure is InputException;
        if (isVerbose) to.WriteLine(failure);
        else if (isInput || IsOfTheWorld(failure)) to.WriteLine($"error: {failure.Message}");
        else
        {
            to.WriteLine($"error: {Words(failure)}");
            to.WriteLine("This is a fault of LowRank, not of what you gave it: every error of the input should have words of its own. Run the command again with --verbose to see where it came from, and report it.");
        }
        return isInput ? ExitCodes.BadInput : ExitCodes.Failed;
    }

    // Errors that no program can prevent, and whose messages say what to do.
    private static bool IsOfTheWorld(Exception failure) => failure is HubException or RunStorageException or IOException or UnauthorizedAccessException or OperationCanceledException;

    private static string Words(Exception failure) => failure switch
    {
        OutOfMemoryException => "the memory is not enough. Take a smaller model, fewer rows at a time (--batch-size, training.batch_size), shorter texts, or a base in fewer bytes (--base-dtype, base_dtype)",
        ExternalException or JsonException => FirstLines(failure.Message),
        _ => FirstLines(failure.Message),
    };

    // libtorch puts the frames of its own C++ below the message.
    private static string FirstLines(string message)
    {
        int frames = message.IndexOf("Exception raised from", StringComparison.Ordinal);
        string words = (frames > 0 ? message[..frames] : message).Trim();
        return words.Length <= Longest ? words : words[..Longest] + " …";
    }
}
