using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Tokenizers;

namespace LowRank.Tasks.TokenClassification;

/// <summary>An entity of a row.</summary>
/// <param name="Start">Its first UTF-16 unit.</param>
/// <param name="End">After its last one.</param>
/// <param name="Label">Its name.</param>
/// <param name="Shown">How messages call it.</param>
internal sealed record EntitySpan(int Start, int End, string Label, string Shown);

/// <summary>Reads the entities of a row: spans in code points that lie inside the text, apart from each other, on the
/// borders of words and of tokens. Any other could only be learned as something that the row does not say, and is a
/// problem of the row.</summary>
internal static class EntitySpans
{
    /// <summary>The entities in the order of the text.</summary>
    /// <exception cref="InputException">Spans that cannot be used: all of them.</exception>
    public static List<EntitySpan> Read(Sample sample, string text)
    {
        if (sample.Row["entities"] is not JsonArray list)
            throw new InputException("the row has no list \"entities\"; expected one, empty where the text has none.");
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
                    $"{offsets.Length} characters (code points, the end not included).");
            else
                entities.Add(
                    Trimmed(text, offsets.Units(start), offsets.Units(end), label,
                    $"\"entities\"[{i}] ({start} to {end}, {label})"));
        }
        entities.Sort((a, b) => a.Start.CompareTo(b.Start));
        problems.AddRange(
            entities.Where(entity => entity.End == entity.Start)
            .Select(entity => $"{entity.Shown} holds blanks alone, expected a word."));
        for (int i = 1; i < entities.Count; i++)
            if (entities[i].Start < entities[i - 1].End)
                problems.Add(
                    $"{entities[i].Shown} overlaps {entities[i - 1].Shown}, expected entities apart from each " +
                    "other: a token has one tag. Keep one of them.");
        problems.AddRange(entities.Where(entity => CutsWord(text, entity.Start) || CutsWord(text, entity.End))
            .Select(entity =>
            $"{entity.Shown} cuts a word: \"{text[entity.Start..entity.End]}\" of \"{Around(text, entity)}\". " +
            "Correct start and end; they count code points, as Python does."));
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
        return entities;
    }

    /// <summary>Notes entities that the tokenizer does not let be told: a token lies partly in one, or none lies in
    /// it.</summary>
    /// <param name="entities">The row's.</param>
    /// <param name="text">The text.</param>
    /// <param name="tokens">Where its tokens stand, without blanks around them.</param>
    /// <param name="seen">The part of the text that is not cut off.</param>
    /// <exception cref="InputException">There are such: all of them.</exception>
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
                    $"{entity.Shown} holds no token: the tokenizer leaves \"{text[entity.Start..entity.End]}\" " +
                    "out. Remove the entity.");
        }
        if (problems.Count > 0) throw new InputException("The row cannot be used:", problems);
    }

    /// <summary>A span without the blanks around it; many tokenizers count the blank before a word to its first
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

    // Letters of scripts that part words by blanks and add no particles to a name: Latin, Greek, Cyrillic, Armenian. In
    // others, such as Chinese, Thai, Korean or Arabic, an entity may well end inside what stands between two blanks.
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
