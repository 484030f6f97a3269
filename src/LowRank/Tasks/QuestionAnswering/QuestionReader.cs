using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Forms;
using LowRank.Tokenization;

namespace LowRank.Tasks.QuestionAnswering;

/// <summary>Cuts questions and contexts into windows that overlap.</summary>
internal sealed class QuestionReader(TextRows rows, int stride)
{
    public IEnumerable<AnswerWindow> Read(Sample sample, bool labelled)
    {
        if (TextRows.HoldsTokens(sample)) return [OfTokens(sample, labelled)];
        var fields = new RowFields(sample.Row);
        string question = fields.FilledText("question", "Expected the question."), context = fields.FilledText("context", "Expected the text that answers it.");
        fields.ThrowIfWrong();
        List<(int Start, string Text)> answers = sample.Row.ContainsKey("answers") || labelled ? Answers(sample, context) : [];
        var asked = new AskedQuestion(context, [.. answers.Select(answer => answer.Text)], sample.Place);
        return Windows(question, context).Select(encoding => Window(encoding, asked, labelled ? answers : null)).ToList();
    }

    private IReadOnlyList<TokenEncoding> Windows(string question, string context)
    {
        int space = rows.MaxLength - rows.Tokenizer.EncodeFull(question, "").Ids.Length;
        if (space <= stride)
            throw new InputException($"the question leaves {space} tokens of max_length {rows.MaxLength} for its context, expected more than task_options.stride ({stride}). " +
                "Raise training.max_length, lower task_options.stride, or shorten the question.");
        return rows.Tokenizer.EncodeWindows(question, context, new EncodingOptions { MaxLength = rows.MaxLength, Truncation = Truncation.OnlySecond, Stride = stride });
    }

    private AnswerWindow OfTokens(Sample sample, bool labelled)
    {
        var fields = new RowFields(sample.Row);
        TextInput input = rows.Tokens(fields, sample);
        int? Position(string key)
        {
            if (!labelled) return null;
            if (sample.Row[key] is JsonValue value && value.TryGetValue(out int place) && place >= 0 && place < input.Length) return place;
            fields.Problem($"\"{key}\" is {sample.Row[key]?.ToJsonString() ?? "missing"}, expected a token's position from 0 to {input.Length - 1}.");
            return null;
        }
        (int? start, int? end) = (Position("start_position"), Position("end_position"));
        fields.ThrowIfWrong();
        return new AnswerWindow(input, start, end, null, new AskedQuestion("", [], sample.Place));
    }

    private static AnswerWindow Window(TokenEncoding encoding, AskedQuestion asked, List<(int Start, string Text)>? answers)
    {
        TokenSpan?[] spans = [.. encoding.Offsets.Select((span, i) => encoding.Sequences[i] == 1 ? span : (TokenSpan?)null)];
        (int? start, int? end) = answers is null ? (null, null) : answers.Count == 0 ? (0, 0) : Place(spans, answers[0].Start, answers[0].Start + answers[0].Text.Length);
        return new AnswerWindow(TextRows.Input(encoding), start, end, spans, asked);
    }

    // The tokens that cover the answer; [CLS] where this window does not hold all of it.
    private static (int? Start, int? End) Place(TokenSpan?[] spans, int from, int to)
    {
        int first = Array.FindIndex(spans, span => span is { } s && s.Start <= from && s.End > from);
        int last = Array.FindLastIndex(spans, span => span is { } s && s.Start < to && s.End >= to);
        return first < 0 || last < first ? (0, 0) : (first, last);
    }

    private static List<(int, string)> Answers(Sample sample, string context)
    {
        const string Expected = "{\"text\": [\"…\"], \"answer_start\": [0]} with as many texts as starts, both empty where the context does not answer";
        if (sample.Row["answers"] is not JsonObject answers || answers["text"] is not JsonArray texts || answers["answer_start"] is not JsonArray starts || texts.Count != starts.Count)
            throw new InputException($"\"answers\" is {sample.Row["answers"]?.ToJsonString() ?? "missing"}, expected {Expected}.");
        var found = new List<(int, string)>();
        for (int i = 0; i < texts.Count; i++)
        {
            if (Sample.AsText(texts[i]) is not { Length: > 0 } text || starts[i] is not JsonValue value || !value.TryGetValue(out int start))
                throw new InputException($"\"answers\" is {answers.ToJsonString()}, expected {Expected}.");
            start = Units(context, start);
            if (start < 0 || start + text.Length > context.Length || !context.AsSpan(start, text.Length).SequenceEqual(text))
                throw new InputException($"the answer \"{text}\" does not stand at character {value.ToJsonString()} of the context; correct answer_start.");
            found.Add((start, text));
        }
        return found;
    }

    // SQuAD counts characters as Python does, by code point.
    private static int Units(string text, int characters)
    {
        int at = 0;
        for (int i = 0; i < characters; i++)
        {
            if (at >= text.Length) return -1;
            at += char.IsHighSurrogate(text[at]) && at + 1 < text.Length ? 2 : 1;
        }
        return characters < 0 ? -1 : at;
    }
}
