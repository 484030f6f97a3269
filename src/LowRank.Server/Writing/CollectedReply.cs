using LowRank.Generation.Replies;
using LowRank.Serving;

namespace LowRank.Server.Writing;

/// <summary>A whole reply, put together from the pieces that a stream would send: both are the same.</summary>
internal sealed class CollectedReply
{
    private readonly ReplyReader reader;
    private readonly List<ReplyPart> parts = [];
    private readonly List<ScoredToken> tokens = [], spoken = [];
    private readonly SpokenTokens speaking = new();

    private CollectedReply(ReplyReader reader) => this.reader = reader;

    /// <summary>The tokens, if they were asked for.</summary>
    public IReadOnlyList<ScoredToken> Tokens => tokens;

    /// <summary>Those of its words.</summary>
    public IReadOnlyList<ScoredToken> Spoken => spoken;

    /// <summary>Why it ended.</summary>
    public ServedEnd? End { get; private set; }

    /// <summary>Its words and calls.</summary>
    public Reply Reply => Reply.Of(parts);

    /// <summary>Why it ended, in OpenAI's words.</summary>
    public string Reason => ReasonOf(End, reader.Calls > 0);

    /// <summary>Reads the texts of a conversation to their ends.</summary>
    public static async Task<IReadOnlyList<CollectedReply>> Read(
        TextRun run, ChatWork work, CancellationToken cancellation)
    {
        CollectedReply[] replies =
            [.. Enumerable.Range(0, work.Request.Count).Select(index => new CollectedReply(work.Reader(index)))];
        await foreach (ServedPiece piece in run.Pieces(cancellation).ConfigureAwait(false))
        {
            replies[piece.Index].Add(piece);
            if (replies is [{ reader.IsDone: true }]) break; // its one call is whole: nothing more counts
        }
        return replies;
    }

    /// <summary>Why a reply ended, in OpenAI's words.</summary>
    public static string ReasonOf(ServedEnd? end, bool hasCalled) =>
        hasCalled && end != ServedEnd.Length ? "tool_calls" : TextRun.Reason(end);

    private void Add(ServedPiece piece)
    {
        List<ReplyPart> added = piece.ReadBy(reader);
        End = piece.End;
        parts.AddRange(added);
        tokens.AddRange(piece.Tokens);
        spoken.AddRange(speaking.Of(added, piece.Tokens, reader.Holds));
    }
}

/// <summary>Tells the tokens of words from those of thoughts, calls and marks.</summary>
internal sealed class SpokenTokens
{
    private readonly List<ScoredToken> held = [];

    /// <summary>The tokens of new words, with those before whose text was held back.</summary>
    /// <param name="parts">What is new of the reply.</param>
    /// <param name="tokens">The tokens that came with it.</param>
    /// <param name="mayFollow">Whether text is held back that may still be words (<see cref="ReplyReader.Holds"/>);
    /// otherwise what was held was a mark.</param>
    public IReadOnlyList<ScoredToken> Of(
        IReadOnlyList<ReplyPart> parts, IReadOnlyList<ScoredToken> tokens, bool mayFollow)
    {
        held.AddRange(tokens);
        if (parts.Count == 0 && mayFollow) return [];
        ScoredToken[] spoken = parts.Any(part => part is ReplyPart.Content) ? [.. held] : [];
        held.Clear();
        return spoken;
    }
}
