using LowRank.Generation;

namespace LowRank.Serving;

/// <summary>A text of the engine: what waits, is read, or is written.</summary>
/// <param name="work">The request it belongs to.</param>
/// <param name="index">Which of the request's texts.</param>
internal sealed class ServingText(ServingWork work, int index)
{
    /// <summary>The request.</summary>
    public ServingWork Work => work;

    /// <summary>Which of the request's texts it is.</summary>
    public int Index => index;

    /// <summary>The prompt and what was written so far; the last token is not read yet.</summary>
    public List<int> Tokens { get; } = [.. work.Request.Prompt];

    /// <summary>Tokens whose keys and values are in the pages.</summary>
    public int Computed { get; set; }

    /// <summary>The text's pages, in order: first those that it shares, then its own.</summary>
    public List<int> Pages { get; } = [];

    /// <summary>The nodes of the pages that it shares.</summary>
    public List<PrefixPage> Shared { get; } = [];

    /// <summary>Tokens that were guessed to follow and are checked in this step.</summary>
    public int[] Guessed { get; set; } = [];

    /// <summary>Where it chooses tokens.</summary>
    public TokenSampler Sampler { get; } =
        new(work.Request.Generation, work.Request.Prompt, index);

    private readonly Queue<(ScoredToken Token, int Start)> scores = []; // of tokens whose text is not out

    private TextAssembler Assembler { get; } = new(
        work.Tokenizer.CreateStreamingDecoder(!work.Request.ShowsSpecialTokens),
        work.Request.Generation.StopStrings);

    /// <summary>What may still follow; null for anything.</summary>
    public ConstraintState? Constraint { get; } = work.Constraint?.Start(work.Stops);

    /// <summary>What is known of the prompt's tokens, if that was asked for; of a request's first text alone.</summary>
    public List<ScoredToken> PromptScores { get; } =
        work.Request.PromptLogProbs && index == 0 ? [new ScoredToken(work.Request.Prompt[0], null, [])] : [];

    /// <summary>Whether tokens of the prompt are still to be scored.</summary>
    public bool IsScored =>
        Written == 0 && PromptScores.Count > 0 && PromptScores.Count < work.Request.Prompt.Count;

    /// <summary>Tokens written so far.</summary>
    public int Written => Tokens.Count - work.Request.Prompt.Count;

    /// <summary>Whether its prompt is not read to the end.</summary>
    public bool IsReading => Computed < Tokens.Count - 1;

    /// <summary>Tokens that the next step may read.</summary>
    public int Unread => Tokens.Count - Computed;

    /// <summary>When it began to be worked on; for measurements, like the next two.</summary>
    public long Admitted { get; set; }

    /// <summary>When it wrote its first token.</summary>
    public long FirstToken { get; set; }

    /// <summary>When it wrote its last token.</summary>
    public long LastToken { get; set; }

    /// <summary>Whether it came to a stop string.</summary>
    public bool IsStopped => Assembler.IsStopped;

    /// <summary>What a token makes certain of the text; a special token that is shown is a piece of its own.</summary>
    /// <param name="token">The token.</param>
    /// <param name="score">What to report of it; null for nothing.</param>
    public IEnumerable<ServedPiece> Show(int token, ScoredToken? score)
    {
        int before = Assembler.Decoded;
        string text = Assembler.Add(token);
        bool isSpecial = work.Request.ShowsSpecialTokens && work.Tokenizer.IsSpecial(token);
        // A token may bring out characters of earlier ones; its own come last.
        string own = score is null && !isSpecial ? ""
            : work.Tokenizer.Decode([token], !work.Request.ShowsSpecialTokens);
        if (score is not null) scores.Enqueue((score, Math.Max(before, Assembler.Decoded - own.Length)));
        bool isApart = isSpecial && own.Length > 0 && text.EndsWith(own, StringComparison.Ordinal);
        if (isApart && text.Length > own.Length) yield return new ServedPiece(index, text[..^own.Length]);
        ServedPiece piece = Piece(isApart ? own : text) with { IsSpecial = isApart };
        if (piece is not { Text: "", Tokens: [] }) yield return piece;
    }

    /// <summary>The last piece. What was held back may have come to a stop string.</summary>
    public ServedPiece ShowRest(ServedEnd how) =>
        Piece(Assembler.End(), atEnd: true) with { End = IsStopped ? ServedEnd.Stop : how };

    // A token belongs to the text if it begins before a stop string; at the end those that show nothing do, too.
    private ServedPiece Piece(string text, bool atEnd = false)
    {
        List<ScoredToken> tokens = [];
        while (scores.TryPeek(out var next) && (next.Start < Assembler.Shown || (atEnd && !IsStopped)))
            tokens.Add(scores.Dequeue().Token);
        return new ServedPiece(index, text) { Tokens = tokens };
    }
}
