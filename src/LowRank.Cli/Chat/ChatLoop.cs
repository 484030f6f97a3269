using LowRank.Data;
using LowRank.Generation;

namespace LowRank.Cli.Chat;

/// <summary>Reads lines, has each answered, and obeys those that begin with a slash.</summary>
/// <param name="conversation">Answers.</param>
/// <param name="options">How; each turn has a seed of its own, drawn from this one's.</param>
/// <param name="input">A message or command a line.</param>
/// <param name="output">Where replies go, each ended by a line break.</param>
/// <param name="notes">Where everything else goes.</param>
/// <param name="prompts">Whether "&gt; " asks for each line.</param>
/// <param name="interrupt">Ends replies before their time.</param>
internal sealed class ChatLoop(
    Conversation conversation, GenerationOptions options, TextReader input, TextWriter output, TextWriter notes,
    bool prompts, ReplyInterrupt interrupt)
{
    /// <summary>What the commands do.</summary>
    public const string Help = """
        /clear        forget the conversation; the system message stays
        /system TEXT  tell the model TEXT before the conversation; without TEXT, nothing
        /exit         end, as the end of the input does
        /help         this list
        //TEXT        say /TEXT
        Ctrl+C ends the reply being written; at the prompt it ends the program.
        """;

    private readonly StableRandom seeds = new(unchecked((ulong)options.Seed));

    /// <summary>Runs until /exit or the end of the input.</summary>
    /// <returns>How many messages could not be answered.</returns>
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
                notes.WriteLine("The conversation is forgotten.");
                break;
            case "/system":
                conversation.System = argument.Length == 0 ? null : argument;
                notes.WriteLine(argument.Length == 0 ? "There is no system message now."
                    : "The system message is set.");
                break;
            case "/help" when argument.Length == 0:
                notes.WriteLine(Help);
                break;
            default:
                notes.WriteLine($"{line} is no command. There are:\n{Help}");
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
            notes.WriteLine($"error: {failure.Message}");
            return false;
        }
    }

    private string? Note(StopReason end) => end switch
    {
        StopReason.Length => $"[The reply was ended after {options.MaxNewTokens} tokens (--max-new-tokens).]",
        StopReason.Context =>
        "[The reply was ended because the conversation fills the model's context. Begin anew with /clear.]",
        StopReason.Cancelled => "[The reply was stopped.]",
        _ => null,
    };

    private void Write(string text)
    {
        output.Write(text);
        output.Flush();
    }
}
