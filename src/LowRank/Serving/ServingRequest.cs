using LowRank.Generation;
using LowRank.Generation.Replies;

namespace LowRank.Serving;

/// <summary>A text to continue.</summary>
/// <param name="Prompt">Token ids, at least one.</param>
public sealed record ServingRequest(IReadOnlyList<int> Prompt)
{
    /// <summary>The adapters to write with, by name, lowest first, each with a factor of its change; empty for the base
    /// alone.</summary>
    public IReadOnlyList<AdapterChoice> Adapters { get; init; } = [];

    /// <summary>How tokens are chosen and when the text ends. <see cref="GenerationOptions.MaxNewTokens"/> is cut to
    /// the room that the prompt leaves in the context.</summary>
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>Texts to write, each with its own random numbers. Default: 1.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Likeliest tokens to report beside each token of the text, 0 to 20, with their log-probabilities as the
    /// model gives them, before temperature and penalties; null reports none. Default: null.</summary>
    public int? LogProbs { get; init; }

    /// <summary>Whether the prompt's tokens are reported as <see cref="LogProbs"/> says, too.</summary>
    public bool PromptLogProbs { get; init; }

    /// <summary>Whether the text shows special tokens, which marks of tool calls may be. Default: false.</summary>
    public bool ShowsSpecialTokens { get; init; }

    /// <summary>Whether the model's own end of a text is a token like others. Default: false.</summary>
    public bool IgnoresEndOfText { get; init; }
}

/// <summary>An adapter of a request.</summary>
/// <param name="Name">Its name in the engine.</param>
/// <param name="Scale">The factor of its change.</param>
public sealed record AdapterChoice(string Name, double Scale = 1);

/// <summary>A part of a text.</summary>
/// <param name="Index">Which of the request's texts, from 0.</param>
/// <param name="Text">What is new; together the pieces are the text. It never ends within a character, nor with what
/// may become a stop string.</param>
public sealed record ServedPiece(int Index, string Text)
{
    /// <summary>The tokens whose text begins in the piece, if they were asked for; otherwise empty. Tokens of a stop
    /// string, and the token that ends a text, are left out.</summary>
    public IReadOnlyList<ScoredToken> Tokens { get; init; } = [];

    /// <summary>Whether it is the text of a special token (<see cref="ServingRequest.ShowsSpecialTokens"/>).</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Why the text ends with this piece; null if it goes on.</summary>
    public ServedEnd? End { get; init; }

    /// <summary>What the piece makes certain of the reply.</summary>
    internal List<ReplyPart> ReadBy(ReplyReader reader)
    {
        List<ReplyPart> parts = [.. reader.Add(Text, IsSpecial)];
        if (End is not null) parts.AddRange(reader.End(isCut: End == ServedEnd.Length));
        return parts;
    }
}

/// <summary>A token with its log-probability.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProb">Its log-probability in nats; null for the first token of a text, which nothing
/// precedes.</param>
/// <param name="Likeliest">The likeliest tokens in its place, most likely first.</param>
public sealed record ScoredToken(int Id, float? LogProb, IReadOnlyList<(int Id, float LogProb)> Likeliest);

/// <summary>Why a text ended.</summary>
public enum ServedEnd
{
    /// <summary>The model ended it, or it came to a stop string.</summary>
    Stop,

    /// <summary>It has as many tokens as were asked for, or as the context holds.</summary>
    Length,
}

/// <summary>What a request took.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="CachedTokens">How many of them were known from an earlier request.</param>
/// <param name="NewTokens">Tokens that were written for all its texts, those that ended them included.</param>
public sealed record ServingUsage(int PromptTokens, int CachedTokens, int NewTokens);

/// <summary>How long a request took.</summary>
/// <param name="Queue">It waited.</param>
/// <param name="Prefill">Its prompt was read.</param>
/// <param name="Decode">From its first token to the last one of its texts.</param>
public sealed record ServingTimes(TimeSpan Queue, TimeSpan Prefill, TimeSpan Decode);
