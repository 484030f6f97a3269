using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>The marks around a model's thoughts, such as <c>&lt;think&gt;</c> and <c>&lt;/think&gt;</c>.</summary>
/// <param name="Open">The mark before the thoughts.</param>
/// <param name="Close">The mark after them.</param>
internal sealed record ReasoningMarks(string Open, string Close)
{
    private const string Thought = "probe-thought", Said = "probe-words";
    private const string Call =
        """[{"id": "probeId01", "type": "function", "function": {"name": "f", "arguments": {"a": "1"}}}]""";

    /// <summary>The marks that models use.</summary>
    public static IReadOnlyList<ReasoningMarks> Known { get; } =
        [new("<think>", "</think>"), new("<|START_THINKING|>", "<|END_THINKING|>"), new("[THINK]", "[/THINK]")];

    /// <summary>The marks that a chat template handles: it writes them itself, or leaves out the thoughts of earlier
    /// turns.</summary>
    /// <returns>The marks; null if the template knows none, so a mark in a reply is text like any other.</returns>
    public static ReasoningMarks? Find(IChatWriter writer) => Known.FirstOrDefault(marks => marks.IsHandledBy(writer));

    /// <summary>Whether a prompt ends within the thoughts, so the reply begins with them.</summary>
    public bool IsOpenAtEndOf(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(Open, StringComparison.Ordinal);

    private bool IsHandledBy(IChatWriter writer)
    {
        JsonObject user = ChatFormats.Message("user", "?");
        if (Written(writer, forReply: true, user)?.Contains(Open, StringComparison.Ordinal) == true) return true;
        JsonObject thinking = ChatFormats.Message("assistant", Said);
        thinking["reasoning_content"] = Thought;
        thinking["tool_plan"] = Thought;
        var calling = (JsonObject)thinking.DeepClone();
        calling["tool_calls"] = JsonNode.Parse(Call);
        foreach (JsonObject turn in new[] { thinking, calling })
            if (Written(writer, forReply: false, user, turn) is { } shown
                && shown.LastIndexOf(Open, StringComparison.Ordinal) is >= 0 and var open
                && shown.IndexOf(Close, open, StringComparison.Ordinal) > open) return true;
        JsonObject spelled = ChatFormats.Message("assistant", $"{Open}\n{Thought}\n{Close}\n\n{Said}");
        return Written(writer, forReply: true, user, spelled, user) is { } later
            && later.Contains(Said, StringComparison.Ordinal) && !later.Contains(Thought, StringComparison.Ordinal);
    }

    private static string? Written(IChatWriter writer, bool forReply, params JsonObject[] messages)
    {
        try
        {
            return writer.Write([.. messages.Select(message => message.DeepClone())], null,
                new ChatWriting { ForReply = forReply });
        }
        catch (InputException)
        {
            return null; // the probe only asks what the template writes
        }
    }
}
