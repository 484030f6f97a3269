using System.Text;
using LowRank.Data;

namespace LowRank.Generation.Replies;

/// <summary>A part of a reply, in the order in which the model wrote it.</summary>
internal abstract record ReplyPart
{
    private ReplyPart() { }

    /// <summary>Words to the user.</summary>
    public sealed record Content(string Text) : ReplyPart;

    /// <summary>The model's thoughts.</summary>
    public sealed record Reasoning(string Text) : ReplyPart;

    /// <summary>The beginning of a call; its arguments follow.</summary>
    /// <param name="Index">The call's number in the reply, from 0.</param>
    /// <param name="Id">Its id.</param>
    /// <param name="Name">The tool's name.</param>
    public sealed record Call(int Index, string Id, string Name) : ReplyPart;

    /// <summary>A piece of a call's arguments.</summary>
    /// <param name="Index">The call's number.</param>
    /// <param name="Text">JSON; the pieces together are the arguments.</param>
    public sealed record Arguments(int Index, string Text) : ReplyPart;
}

/// <summary>A whole reply.</summary>
/// <param name="Content">The words to the user; null if there are none.</param>
/// <param name="Reasoning">The model's thoughts; null if there are none.</param>
/// <param name="Calls">The calls of tools.</param>
internal sealed record Reply(string? Content, string? Reasoning, IReadOnlyList<ReplyCall> Calls)
{
    /// <summary>Puts the parts of a reply together.</summary>
    public static Reply Of(IEnumerable<ReplyPart> parts)
    {
        StringBuilder content = new(), reasoning = new();
        List<(string Id, string Name, StringBuilder Arguments)> calls = [];
        foreach (ReplyPart part in parts)
            switch (part)
            {
                case ReplyPart.Content words: content.Append(words.Text); break;
                case ReplyPart.Reasoning thought: reasoning.Append(thought.Text); break;
                case ReplyPart.Call call: calls.Add((call.Id, call.Name, new StringBuilder())); break;
                case ReplyPart.Arguments piece: calls[piece.Index].Arguments.Append(piece.Text); break;
            }
        return new Reply(content.Length == 0 ? null : content.ToString(),
            reasoning.Length == 0 ? null : reasoning.ToString(),
            [.. calls.Select(call => new ReplyCall(call.Id, call.Name, call.Arguments.ToString()))]);
    }
}

/// <summary>A call of a tool.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">The tool's name.</param>
/// <param name="Arguments">The arguments: JSON, as the model wrote it.</param>
internal sealed record ReplyCall(string Id, string Name, string Arguments);

/// <summary>Makes the ids of calls.</summary>
internal static class CallIds
{
    /// <summary>The length of short ids, which Mistral's templates require.</summary>
    public const int Short = 9;

    private const int Long = 24;
    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>The id of a call: <c>call_</c> and 24 letters or digits, or nine of them.</summary>
    /// <param name="seed">The reply's seed: other replies of a conversation need another.</param>
    /// <param name="index">The call's number in the reply.</param>
    /// <param name="isShort">Whether the id must be short.</param>
    public static string Make(ulong seed, int index, bool isShort)
    {
        var random = new StableRandom(seed);
        for (int i = 0; i < index; i++) random = new StableRandom(random.Next());
        string letters = string.Concat(
            Enumerable.Range(0, isShort ? Short : Long).Select(_ => Letters[random.Below(Letters.Length)]));
        return isShort ? letters : "call_" + letters;
    }
}
