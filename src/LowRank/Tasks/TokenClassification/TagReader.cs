using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Forms;
using LowRank.Tokenization;

namespace LowRank.Tasks.TokenClassification;

/// <summary>Makes tagged texts of rows.</summary>
internal sealed class TagReader(TextRows rows, LabelSet labels)
{
    private const int Ignored = TokenizedExample.Ignored;

    public TaggedText Read(Sample sample, bool labelled)
    {
        if (TextRows.HoldsTokens(sample)) return OfTokens(sample, labelled);
        if (sample.Row.ContainsKey("tokens")) return OfWords(sample, labelled);
        if (sample.Row.ContainsKey("text")) return OfText(sample, labelled);
        throw new InputException($"the row has the keys {string.Join(", ", sample.Row.Select(field => $"\"{field.Key}\""))}. " +
            "Expected {\"tokens\", \"tags\"} | {\"text\", \"entities\"} | {\"input_ids\", \"labels\"}.");
    }

    private TaggedText OfTokens(Sample sample, bool labelled)
    {
        var fields = new RowFields(sample.Row);
        TextInput input = rows.Tokens(fields, sample);
        int[] tags = labelled ? fields.Numbers("labels", label => label == Ignored || (label >= 0 && label < labels.Names.Count), $"-100, or a label's number from 0 to {labels.Names.Count - 1}")
            : [.. Enumerable.Repeat(Ignored, input.Length)];
        if (tags.Length != input.Length) fields.Problem($"\"labels\" has {tags.Length} entries, expected {input.Length}, one for each token.");
        fields.ThrowIfWrong();
        IEnumerable<int> answered = Enumerable.Range(0, input.Length).Where(i => labelled ? tags[i] != Ignored : input.Mask?[i] != 0);
        return new TaggedText(input, tags, [.. answered.Select(i => new TaggedWord(i, i, i + 1))], sample.Place);
    }

    // Words are joined by blanks; a word's tag is that of its first token, the others are not learned (as BERT was tuned,
    // arXiv 1810.04805, section 5.3).
    private TaggedText OfWords(Sample sample, bool labelled)
    {
        IReadOnlyList<string> words = sample.Texts("tokens");
        if (words.Count == 0) throw new InputException("\"tokens\" is empty, expected at least one word.");
        int blank = words.ToList().FindIndex(string.IsNullOrWhiteSpace);
        if (blank >= 0) throw new InputException($"\"tokens\"[{blank}] is blank, expected a word.");
        JsonArray? tags = sample.Row["tags"] as JsonArray;
        if (labelled && tags?.Count != words.Count)
            throw new InputException($"\"tags\" has {tags?.Count.ToString() ?? "no"} entries, expected {words.Count}, one for each of \"tokens\".");
        var text = new StringBuilder();
        var spans = new List<(int Start, int End)>();
        foreach (string word in words)
        {
            if (text.Length > 0) text.Append(' ');
            spans.Add((text.Length, text.Length + word.Length));
            text.Append(word);
        }
        TokenEncoding encoding = rows.Encode(text.ToString(), null);
        var numbers = new int[encoding.Ids.Length];
        Array.Fill(numbers, Ignored);
        var answered = new List<TaggedWord>();
        int next = 0;
        for (int i = 0; i < encoding.Ids.Length && next < words.Count; i++)
        {
            if (encoding.SpecialTokens[i] || encoding.Offsets[i].End <= spans[next].Start || encoding.Offsets[i].End == encoding.Offsets[i].Start) continue;
            while (next < words.Count && spans[next].End <= encoding.Offsets[i].Start) next++; // a word without a token of its own
            if (next == words.Count || encoding.Offsets[i].End <= spans[next].Start) continue;
            answered.Add(new TaggedWord(i, spans[next].Start, spans[next].End));
            if (labelled) numbers[i] = labels.Number(tags![next]);
            next++;
        }
        return new TaggedText(TextRows.Input(encoding), numbers, answered, sample.Place);
    }

    private TaggedText OfText(Sample sample, bool labelled)
    {
        var fields = new RowFields(sample.Row);
        string text = fields.FilledText("text", "Expected the text to tag.");
        fields.ThrowIfWrong();
        List<(int Start, int End, string Label)> entities = labelled ? Entities(sample, text) : [];
        TokenEncoding encoding = rows.Encode(text, null);
        var numbers = new int[encoding.Ids.Length];
        Array.Fill(numbers, Ignored);
        var answered = new List<TaggedWord>();
        for (int i = 0; i < encoding.Ids.Length; i++)
        {
            TokenSpan span = encoding.Offsets[i];
            if (encoding.SpecialTokens[i] || span.End == span.Start) continue;
            answered.Add(new TaggedWord(i, span.Start, span.End));
            if (!labelled) continue;
            int inside = entities.FindIndex(entity => span.Start < entity.End && span.End > entity.Start);
            bool begins = inside >= 0 && !answered.SkipLast(1).Any(word => word.Start < entities[inside].End && word.End > entities[inside].Start);
            numbers[i] = labels.Number(inside < 0 ? "O" : (begins ? "B-" : "I-") + entities[inside].Label);
        }
        return new TaggedText(TextRows.Input(encoding), numbers, answered, sample.Place);
    }

    private static List<(int Start, int End, string Label)> Entities(Sample sample, string text)
    {
        if (sample.Row["entities"] is not JsonArray list) throw new InputException("the row has no list \"entities\"; expected one, empty where the text has none.");
        var entities = new List<(int, int, string)>();
        for (int i = 0; i < list.Count; i++)
        {
            if (list[i] is not JsonObject entity || LabelSet.Text(entity["label"]) is not { } label
                || entity["start"] is not JsonValue from || !from.TryGetValue(out int start) || entity["end"] is not JsonValue to || !to.TryGetValue(out int end))
                throw new InputException($"\"entities\"[{i}] is {list[i]?.ToJsonString() ?? "null"}, expected {{\"start\": 0, \"end\": 5, \"label\": \"…\"}}.");
            if (start < 0 || end > text.Length || start >= end)
                throw new InputException($"\"entities\"[{i}] spans {start} to {end}, expected a span inside the text of {text.Length} characters (UTF-16 units, the end not included).");
            entities.Add((start, end, label));
        }
        return entities;
    }
}
