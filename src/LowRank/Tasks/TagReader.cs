using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Tokenizers;

namespace LowRank.Tasks;

/// <summary>Converts rows to tagged texts.</summary>
internal sealed class TagReader(TextRows rows, LabelSet labels)
{
    private const int Ignored = TokenizedExample.Ignored;
    private const string Tags = "tags", NumberedTags = "ner_tags";

    private long unseen;
    private DataPlace? firstUnseen;

    /// <summary>Notes about words that are not learned.</summary>
    public IReadOnlyList<Words> Notes => unseen == 0 ? []
        : [Words.Of(
            $"{(unseen == 1 ? "1 word has" : $"{unseen} words have")} no token, such as a control character, and " +
            $"cannot be learned; the first is at {firstUnseen}.")];

    /// <summary>The field with the tags of a row's words: <c>tags</c>, or <c>ner_tags</c> as in Hugging Face data
    /// sets.</summary>
    public static string TagKey(Row row) => row.Fields.ContainsKey(Tags) || !row.Fields.ContainsKey(NumberedTags)
        ? Tags : NumberedTags;

    public TaggedText Read(Row row, bool labelled)
    {
        if (TextRows.HoldsTokens(row)) return OfTokens(row, labelled);
        if (row.Fields.ContainsKey("tokens")) return OfWords(row, labelled);
        if (row.Fields.ContainsKey("text")) return OfText(row, labelled);
        throw new InputException(
            $"the row has the keys {string.Join(", ", row.Fields.Select(field => $"\"{field.Key}\""))}. " +
            "Expected {\"tokens\", \"tags\"} | {\"text\", \"entities\"} | {\"input_ids\", \"labels\"}.");
    }

    private TaggedText OfTokens(Row row, bool labelled)
    {
        var fields = new RowFields(row.Fields);
        TextInput input = rows.Tokens(fields, row);
        int[] tags = labelled
            ? fields.Numbers("labels", label => label == Ignored || (label >= 0 && label < labels.Names.Count),
            $"-100, or a label's number from 0 to {labels.Names.Count - 1}")
            : [.. Enumerable.Repeat(Ignored, input.Length)];
        if (tags.Length != input.Length)
            fields.Problem($"\"labels\" has {tags.Length} entries, expected {input.Length}, one for each token.");
        fields.ThrowIfWrong();
        IEnumerable<int> answered = Enumerable.Range(0, input.Length)
            .Where(i => labelled ? tags[i] != Ignored : input.Mask?[i] != 0);
        return new TaggedText(input, tags, [.. answered.Select(i => new TaggedWord(i, i, i + 1))], row.Place);
    }

    // Words are joined with blanks; a word's tag belongs to its first token, and the other tokens are not learned (as
    // for BERT, arXiv 1810.04805, section 5.3).
    private TaggedText OfWords(Row row, bool labelled)
    {
        IReadOnlyList<string> words = row.Texts("tokens");
        if (words.Count == 0) throw new InputException("\"tokens\" is empty, expected at least one word.");
        int blank = words.ToList().FindIndex(string.IsNullOrWhiteSpace);
        if (blank >= 0) throw new InputException($"\"tokens\"[{blank}] is blank, expected a word.");
        int[]? tags = labelled ? TagNumbers(row, words.Count) : null;
        var text = new StringBuilder();
        var spans = new List<TokenSpan>();
        foreach (string word in words)
        {
            if (text.Length > 0) text.Append(' ');
            spans.Add(new TokenSpan(text.Length, text.Length + word.Length));
            text.Append(word);
        }
        TokenEncoding encoding = rows.Encode(text.ToString(), null, out TokenSpan seen);
        int[] first = FirstTokens(encoding, spans);
        var numbers = new int[encoding.Ids.Length];
        Array.Fill(numbers, Ignored);
        for (int i = 0; i < words.Count; i++)
        {
            if (tags is not null && first[i] >= 0) numbers[first[i]] = tags[i];
            if (first[i] >= 0 || spans[i].Start < seen.Start || spans[i].End > seen.End) continue;
            unseen++;
            firstUnseen ??= row.Place;
        }
        if (labelled && first.All(token => token < 0))
            throw new InputException("no word of \"tokens\" has a token, so nothing can be learned; remove the row.");
        return new TaggedText(
            TextRows.Input(encoding), numbers,
            [.. spans.Select((span, i) => new TaggedWord(first[i], span.Start, span.End))], row.Place);
    }

    // The position of each word's first token; -1 for a word without one.
    private static int[] FirstTokens(TokenEncoding encoding, List<TokenSpan> words)
    {
        var first = new int[words.Count];
        Array.Fill(first, -1);
        int next = 0;
        for (int i = 0; i < encoding.Ids.Length && next < words.Count; i++)
        {
            TokenSpan token = encoding.Offsets[i];
            if (encoding.SpecialTokens[i] || token.End <= words[next].Start || token.End == token.Start) continue;
            while (next < words.Count && words[next].End <= token.Start) next++; // a word without its own token
            if (next == words.Count || token.End <= words[next].Start) continue;
            first[next++] = i;
        }
        return first;
    }

    private int[] TagNumbers(Row row, int words)
    {
        string key = TagKey(row);
        JsonArray? tags = row.Fields[key] as JsonArray;
        if (tags?.Count != words)
            throw new InputException(
                $"\"{key}\" has {tags?.Count.ToString() ?? "no"} entries, expected {words}, one for each of " +
                "\"tokens\".");
        return [.. tags.Select(labels.Number)];
    }

    private TaggedText OfText(Row row, bool labelled)
    {
        var fields = new RowFields(row.Fields);
        string text = fields.FilledText("text", "Expected the text to tag.");
        fields.ThrowIfWrong();
        List<EntitySpan> entities = labelled ? EntitySpans.Read(row, text) : [];
        TokenEncoding encoding = rows.Encode(text, null, out TokenSpan seen);
        List<TaggedWord> answered = [.. Enumerable.Range(0, encoding.Ids.Length).Where(i => !encoding.SpecialTokens[i])
            .Select(i => (Token: i, Span: EntitySpans.Trim(text, encoding.Offsets[i])))
            .Where(one => one.Span.End > one.Span.Start)
            .Select(one => new TaggedWord(one.Token, one.Span.Start, one.Span.End))];
        EntitySpans.RequireTokens(
            entities, text, [.. answered.Select(word => new TokenSpan(word.Start, word.End))], seen);
        var numbers = new int[encoding.Ids.Length];
        Array.Fill(numbers, Ignored);
        int entity = 0, tagged = -1; // both in text order
        foreach (TaggedWord word in labelled ? answered : [])
        {
            while (entity < entities.Count && entities[entity].End <= word.Start) entity++;
            bool inside = entity < entities.Count && word.End > entities[entity].Start;
            numbers[word.Token] =
                labels.Number(
                    JsonValue.Create(!inside ? "O" : (tagged == entity ? "I-" : "B-") + entities[entity].Label));
            if (inside) tagged = entity;
        }
        return new TaggedText(TextRows.Input(encoding), numbers, answered, row.Place);
    }
}

/// <summary>A text with a label for some of its tokens.</summary>
/// <param name="Input">The text.</param>
/// <param name="Labels">For each token the number of its label, or -100 if it is not learned.</param>
/// <param name="Words">The words, or pieces of text, to predict: each word of the row, including those without a
/// token.</param>
/// <param name="Place">The row it was made from.</param>
internal sealed record TaggedText(TextInput Input, int[] Labels, IReadOnlyList<TaggedWord> Words, DataPlace? Place)
    : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Count(label => label != TokenizedExample.Ignored);
}

/// <summary>A piece of text to predict.</summary>
/// <param name="Token">The position of its first token; -1 if it has none, such as a control character in many
/// tokenizers.</param>
/// <param name="Start">The start in the text, in UTF-16 units.</param>
/// <param name="End">The end in the text.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TaggedWord(int Token, int Start, int End);
