using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>What a chat template writes around the words of a conversation, where it is the same at every turn. Found
/// by rendering conversations of known words, and compared with the template's own rendering of others.</summary>
/// <remarks>Conversations are those that programs hold: perhaps a system message, then user and assistant in turn, the
/// user last.</remarks>
internal sealed record TurnShape
{
    private const string System = "system", User = "user", Assistant = "assistant";

    /// <summary>The text before the first words, where there is no system message.</summary>
    public required string Opening { get; init; }

    /// <summary>The text before the user's later words.</summary>
    public required string UserBefore { get; init; }

    /// <summary>The text after the user's words.</summary>
    public required string UserAfter { get; init; }

    /// <summary>The text before the assistant's words.</summary>
    public required string AssistantBefore { get; init; }

    /// <summary>The text after the assistant's words.</summary>
    public required string AssistantAfter { get; init; }

    /// <summary>The text at the end, after which the assistant speaks.</summary>
    public required string Reply { get; init; }

    /// <summary>Where a system message stands.</summary>
    public SystemPlace Place { get; init; }

    /// <summary>The text before a system message that begins the conversation.</summary>
    public string SystemOpening { get; init; } = "";

    /// <summary>The text before a system message elsewhere.</summary>
    public string SystemBefore { get; init; } = "";

    /// <summary>The text after a system message.</summary>
    public string SystemAfter { get; init; } = "";

    /// <summary>Whether the template takes blanks away from the edges of words.</summary>
    public bool TrimsWords { get; init; }

    /// <summary>The text with which a conversation without a system message begins, whoever speaks first.</summary>
    public string Start => Opening.EndsWith(UserBefore, StringComparison.Ordinal) ? Opening[..^UserBefore.Length] : "";

    /// <summary>The shape of a template.</summary>
    /// <param name="format">The template.</param>
    /// <param name="reason">Why it has none, as the end of a sentence.</param>
    /// <returns>Null if its texts differ from turn to turn, or it changes the words.</returns>
    public static TurnShape? Find(IChatWriter format, out string reason)
    {
        reason = "it does not write every turn in the same way";
        try
        {
            if (Turns(format) is not { } turns) return null;
            if (WithSystem(format, turns) is not { } shape)
            {
                reason = "it writes system messages in a way of its own";
                return null;
            }
            string? differing = Probes(shape.Place != SystemPlace.None)
                .FirstOrDefault(probe => Write(format, probe, isForReply: true) != shape.Render(probe)) is { } other
                ? string.Join(", ", other.Select(message => message.Role)) : null;
            if (differing is not null)
            {
                reason = $"what its turns have in common does not give its own text of {differing}";
                return null;
            }
            return shape with { TrimsWords = Trims(format, shape) };
        }
        catch (InputException refusal)
        {
            reason = $"it refuses a plain conversation ({refusal.Message.TrimEnd('.')})";
            return null;
        }
    }

    /// <summary>The text of a conversation.</summary>
    public string Render(IReadOnlyList<(string Role, string Words)> messages)
    {
        var text = new StringBuilder();
        bool hasSystem = messages[0].Role == System;
        for (int number = 0; number < messages.Count; number++)
        {
            (string role, string words) = messages[number];
            if (role == System && Place != SystemPlace.Turn) continue;
            bool isFirst = number == 0 || (number == 1 && hasSystem);
            bool isTold = role == User && hasSystem
                && ((Place == SystemPlace.FirstUser && number == 1)
                    || (Place == SystemPlace.LastUser && number == messages.Count - 1));
            if (isTold)
                text.Append(isFirst ? SystemOpening : SystemBefore).Append(messages[0].Words).Append(SystemAfter);
            else text.Append(role switch
            {
                System => number == 0 ? SystemOpening : SystemBefore,
                User => isFirst && !(hasSystem && Place == SystemPlace.Turn) ? Opening : UserBefore,
                _ => (number == 0 ? Start : "") + AssistantBefore,
            });
            text.Append(words)
                .Append(role switch { System => SystemAfter, User => UserAfter, _ => AssistantAfter });
        }
        return text.Append(Reply).ToString();
    }

    /// <summary>The same for programs that begin every text with a token of their own.</summary>
    /// <param name="token">The token, as it is written.</param>
    public TurnShape Without(string token)
    {
        string Less(string text) => text.StartsWith(token, StringComparison.Ordinal) ? text[token.Length..] : text;
        return this with { Opening = Less(Opening), SystemOpening = Less(SystemOpening) };
    }

    /// <summary>Conversations with which a shape is compared: of several lengths, with line breaks, quotes, braces and
    /// characters outside of ASCII.</summary>
    /// <param name="withSystem">Whether half of them have a system message.</param>
    internal static IReadOnlyList<IReadOnlyList<(string Role, string Words)>> Probes(bool withSystem)
    {
        string[] words =
        [
            "Wie heißt du?", "I'm \"it\".\nA second line.", "{{ .Content }} {% x %} <b>&amp;</b>", "好。",
            "`a` \\n 100%", "Yes", "No, 1 < 2\n\n- a list\n- of two",
        ];
        IEnumerable<(string, string)> Turns(int count) =>
            Enumerable.Range(0, count).Select(turn => (turn % 2 == 0 ? User : Assistant, words[turn]));
        int[] lengths = [1, 3, 5, 7];
        return
        [
            .. lengths.Select(count => (IReadOnlyList<(string, string)>)[.. Turns(count)]),
            .. withSystem ? lengths.Select(count =>
                (IReadOnlyList<(string, string)>)[(System, "You're brief.\nAnswer with {one} word."), .. Turns(count)])
                : [],
        ];
    }

    private static TurnShape? Turns(IChatWriter format)
    {
        if (Parts(format, [User, Assistant, User, Assistant, User]) is not [var opening, var asked, var answered,
            var again, var after, var end] || asked != again || answered != after) return null;
        // Without the invitation to reply, the text ends with what closes a turn; both stand together otherwise.
        string closed = Parts(format, [User], isForReply: false) is [_, var alone]
            && asked.StartsWith(alone, StringComparison.Ordinal) && end.StartsWith(alone, StringComparison.Ordinal)
            ? alone : "";
        string spoken = Parts(format, [User, Assistant], isForReply: false) is [_, _, var last]
            && answered.StartsWith(last, StringComparison.Ordinal) ? last : "";
        return new TurnShape
        {
            Opening = opening, UserBefore = answered[spoken.Length..], UserAfter = closed,
            AssistantBefore = asked[closed.Length..], AssistantAfter = spoken, Reply = end[closed.Length..],
        };
    }

    private static TurnShape? WithSystem(IChatWriter format, TurnShape turns)
    {
        IReadOnlyList<string>? one, two;
        try
        {
            one = Parts(format, [System, User]);
            two = Parts(format, [System, User, Assistant, User]);
        }
        catch (InputException)
        {
            return turns; // it takes none
        }
        if (one is null && Write(format, [(System, "s"), (User, "u")], isForReply: true)
            == Write(format, [(User, "u")], isForReply: true)) return turns; // it leaves them out
        if (one is not [var opening, var after, _]) return null;
        string before = opening.StartsWith(turns.Start, StringComparison.Ordinal) ? opening[turns.Start.Length..]
            : opening;
        // Not in that order: with the last words, as the comparison will show.
        if (two is null)
            return turns with
            {
                Place = SystemPlace.LastUser, SystemOpening = opening, SystemBefore = before, SystemAfter = after,
            };
        bool isTurn = after.EndsWith(turns.UserBefore, StringComparison.Ordinal) && turns.UserBefore.Length > 0;
        return turns with
        {
            Place = isTurn ? SystemPlace.Turn : SystemPlace.FirstUser, SystemOpening = opening, SystemBefore = before,
            SystemAfter = isTurn ? after[..^turns.UserBefore.Length] : after,
        };
    }

    private static bool Trims(IChatWriter format, TurnShape shape)
    {
        (string, string)[] blanks = [(User, " a "), (Assistant, " b "), (User, "c\n")];
        return Write(format, blanks, isForReply: true) != shape.Render(blanks);
    }

    private static string Write(
        IChatWriter format, IReadOnlyList<(string Role, string Words)> messages, bool isForReply) =>
        format.Write([.. messages.Select(message => ChatFormats.Message(message.Role, message.Words))], null,
            new ChatWriting { ForReply = isForReply });

    // The texts around the words, in order; null if some words are missing, changed or in another order.
    private static List<string>? Parts(
        IChatWriter format, IReadOnlyList<string> roles, bool isForReply = true)
    {
        (string Role, string Words)[] messages = [.. roles.Select((role, number) => (role, $"words{number}of{role}"))];
        string text = Write(format, messages, isForReply);
        var parts = new List<string>();
        foreach ((_, string words) in messages)
        {
            int at = text.IndexOf(words, StringComparison.Ordinal);
            if (at < 0 || text.LastIndexOf(words, StringComparison.Ordinal) != at) return null;
            parts.Add(text[..at]);
            text = text[(at + words.Length)..];
        }
        return [.. parts, text];
    }
}

/// <summary>Where a chat template writes a system message.</summary>
internal enum SystemPlace
{
    /// <summary>Nowhere: it refuses them.</summary>
    None,

    /// <summary>In a turn of its own.</summary>
    Turn,

    /// <summary>In the user's first turn.</summary>
    FirstUser,

    /// <summary>In the user's last turn.</summary>
    LastUser,
}
