using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Generation;

namespace LowRank.Cli.Chat;

/// <summary>Reads lines, sends each to the model, and executes those that begin with a slash.</summary>
/// <param name="conversation">Generates the replies.</param>
/// <param name="options">How to generate; each turn derives its own seed from the one here.</param>
/// <param name="input">One message or command per line.</param>
/// <param name="output">Where replies go, each ended by a line break.</param>
/// <param name="notes">Where everything else goes.</param>
/// <param name="prompts">Whether to print the prompt "&gt; " before each line.</param>
/// <param name="interrupt">Interrupts replies.</param>
internal sealed class ChatLoop(
    Conversation conversation, GenerationOptions options, TextReader input, TextWriter output, TextWriter notes,
    bool prompts, ReplyInterrupt interrupt)
{
    /// <summary>The list of commands.</summary>
    public const string Help = """
        /clear        clear the conversation; the system message stays
        /system TEXT  set the system message to TEXT; without TEXT, remove it
        /exit         quit, as at the end of the input
        /help         show this list
        //TEXT        send /TEXT as a message
        Ctrl+C stops the current reply; at the prompt it quits the program.
        """;

    private readonly StableRandom seeds = new(unchecked((ulong)options.Seed));

    /// <summary>Runs until /exit or the end of the input.</summary>
    /// <returns>The number of messages that could not be answered.</returns>
    public int Run()
    {
        int failed = 0;
        while (Next() is { } line)
        {
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (line.Trim() == "/exit") break;
            if (line.StartsWith('/') && !line.StartsWith("//", StringComparison.Ordinal)) Obey(line.Trim());
            else if (!Answer(line.StartsWith('/') ? line[1..] : line)) failed++;
        }
        return failed;
    }

    private string? Next()
    {
        if (prompts) Write("> ");
        string? line = input.ReadLine();
        if (prompts && line is null) output.WriteLine();
        return line;
    }

    private void Obey(string line)
    {
        string[] words = line.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries);
        string argument = words.Length > 1 ? words[1] : "";
        switch (words[0])
        {
            case "/clear" when argument.Length == 0:
                conversation.Clear();
                notes.WriteLine("The conversation was cleared.");
                break;
            case "/system":
                conversation.System = argument.Length == 0 ? null : argument;
                notes.WriteLine(argument.Length == 0 ? "The system message was removed."
                    : "The system message was set.");
                break;
            case "/help" when argument.Length == 0:
                notes.WriteLine(Help);
                break;
            default:
                notes.WriteLine($"{line} is not a command. Commands:\n{Help}");
                break;
        }
    }

    private bool Answer(string text)
    {
        GenerationOptions turn = options with { Seed = unchecked((long)seeds.Next()) };
        try
        {
            ChatReply reply = interrupt.During(cancellation => conversation.Reply(text, turn, Write, cancellation));
            output.WriteLine();
            if (Note(reply.End) is { } note) notes.WriteLine(note);
            return true;
        }
        catch (InputException failure)
        {
            failure.Word(CommandWording.Of(command: null));
            notes.WriteLine($"error: {failure.Message}");
            return false;
        }
    }

    private string? Note(StopReason end) => end switch
    {
        StopReason.Length => $"[The reply was cut off after {options.MaxNewTokens} tokens (--max-new-tokens).]",
        StopReason.Context =>
        "[The reply was cut off because the conversation fills the model's context. Start again with /clear.]",
        StopReason.Cancelled => "[The reply was stopped.]",
        _ => null,
    };

    private void Write(string text)
    {
        output.Write(text);
        output.Flush();
    }
}
