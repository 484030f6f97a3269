using System.Globalization;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Tokenizers;

namespace LowRank.Tasks;

/// <summary>An entity of a row.</summary>
/// <param name="Start">The first UTF-16 unit.</param>
/// <param name="End">The exclusive end.</param>
/// <param name="Label">The label.</param>
/// <param name="Shown">Its name in messages.</param>
internal sealed record EntitySpan(int Start, int End, string Label, string Shown);

/// <summary>Reads the entities of a row: spans in code points inside the text that do not overlap and that begin and
/// end at borders of words and tokens. Any other span could only be learned incorrectly, so it is a problem of the
/// row.</summary>
internal static class EntitySpans
{
    /// <summary>The entities, in text order.</summary>
    /// <exception cref="InputException">Some spans cannot be used; lists all of them.</exception>
    public static List<EntitySpan> Read(Row row, string text)
    {
        if (row.Fields["entities"] is not JsonArray list)
            throw new InputException("the row has no list \"entities\"; expected one, which is empty if the text has " +
                "no entities.");
        var offsets = new TextOffsets(text);
        var problems = new List<string>();
        var entities = new List<EntitySpan>();
        for (int i = 0; i < list.Count; i++)
        {
            if (list[i] is not JsonObject entity || LabelSet.Text(entity["label"]) is not { Length: > 0 } label
                || entity["start"] is not JsonValue
                from || !from.TryGetValue(out int start) || entity["end"] is not JsonValue to
                || !to.TryGetValue(out int end))
                problems.Add(
                    $"\"entities\"[{i}] is {list[i]?.ToJsonString() ?? "null"}, expected {{\"start\": 0, \"end\": " +
                    "5, \"label\": \"…\"}.");
            else if (start < 0 || end > offsets.Length || start >= end)
                problems.Add(
                    $"\"entities\"[{i}] spans {start} to {end}, expected a span inside the text of " +
                    $"{offsets.Length} characters (code points, exclusive end).");
            else
                entities.Add(
                    Trimmed(text, offsets.Units(start), offsets.Units(end), label,
                    $"\"entities\"[{i}] ({start} to {end}, {label})"));
        }
        entities.Sort((a, b) => a.Start.CompareTo(b.Start));
        problems.AddRange(
            entities.Where(entity => entity.End == entity.Start)
            .Select(entity => $"{entity.Shown} contains only blanks, expected a word."));
        for (int i = 1; i < entities.Count; i++)
            if (entities[i].Start < entities[i - 1].End)
                problems.Add(
                    $"{entities[i].Shown} overlaps {entities[i - 1].Shown}, but a token has only one tag. Keep one " +
                    "of them.");
        problems.AddRange(entities.Where(entity => CutsWord(text, entity.Start) || CutsWord(text, entity.End))
            .Select(entity =>
            $"{entity.Shown} cuts a word: \"{text[entity.Start..entity.End]}\" of \"{Around(text, entity)}\". " +
            "Correct start and end, which count code points, like Python."));
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
        return entities;
    }

    /// <summary>Finds entities that do not align with tokens: a token lies partly in one, or no token lies in
    /// it.</summary>
    /// <param name="entities">The row's entities.</param>
    /// <param name="text">The text.</param>
    /// <param name="tokens">The spans of its tokens, without surrounding blanks.</param>
    /// <param name="seen">The part of the text that remained after cutting.</param>
    /// <exception cref="InputException">There are such entities; lists all of them.</exception>
    public static void RequireTokens(
        IReadOnlyList<EntitySpan> entities, string text, IReadOnlyList<TokenSpan> tokens, TokenSpan seen)
    {
        var problems = new List<string>();
        foreach (EntitySpan entity in entities)
        {
            TokenSpan[] touching = [.. tokens.Where(token => token.Start < entity.End && token.End > entity.Start)];
            foreach (TokenSpan token in touching.Where(
                token => token.Start < entity.Start || token.End > entity.End).Take(1))
                problems.Add(
                    $"{entity.Shown} cuts the token \"{text[token.Start..token.End]}\" of the tokenizer, which has " +
                    "one tag. Correct start and end, which count code points, or remove the entity.");
            if (touching.Length == 0 && entity.Start >= seen.Start && entity.End <= seen.End)
                problems.Add(
                    $"{entity.Shown} contains no token: the tokenizer drops \"{text[entity.Start..entity.End]}\". " +
                    "Remove the entity.");
        }
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
    }

    /// <summary>A span without surrounding blanks; many tokenizers include the blank before a word in its first
    /// token.</summary>
    public static TokenSpan Trim(string text, TokenSpan span)
    {
        (int start, int end) = (span.Start, span.End);
        while (start < end && char.IsWhiteSpace(text[start])) start++;
        while (end > start && char.IsWhiteSpace(text[end - 1])) end--;
        return new TokenSpan(start, end);
    }

    private static EntitySpan Trimmed(string text, int start, int end, string label, string shown)
    {
        TokenSpan span = Trim(text, new TokenSpan(start, end));
        return new EntitySpan(span.Start, span.End, label, shown);
    }

    private static bool CutsWord(string text, int at) =>
        at > 0 && at < text.Length && BelongsToWord(text, at - 1) && BelongsToWord(text, at);

    // Letters of scripts that separate words with blanks and attach no particles to names: Latin, Greek, Cyrillic,
    // Armenian. In others, such as Chinese, Thai, Korean or Arabic, an entity may end in the middle of the text between
    // two blanks.
    private static bool BelongsToWord(string text, int at)
    {
        char letter = text[at];
        return letter is < '\u0590' or (>= '\u1E00' and <= '\u1FFF')
            && (char.IsLetter(letter) || char.GetUnicodeCategory(letter) is UnicodeCategory.NonSpacingMark);
    }

    private static string Around(string text, EntitySpan entity)
    {
        (int start, int end) = (entity.Start, entity.End);
        while (CutsWord(text, start)) start--;
        while (CutsWord(text, end)) end++;
        return text[start..end];
    }
}
