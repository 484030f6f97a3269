using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Tokenizers;

namespace LowRank.Tasks;

/// <summary>Splits questions and contexts into overlapping windows.</summary>
internal sealed class QuestionReader(TextRows rows, int stride)
{
    private long cut;
    private DataPlace? firstCut;

    /// <summary>Notes about answers that do not align with tokens.</summary>
    public IReadOnlyList<Words> Notes => cut == 0 ? []
        : [Words.Of(
            $"{(cut == 1 ? "1 answer begins or ends" : $"{cut} answers begin or end")} inside a token, and " +
            $"{(cut == 1 ? "is" : "are")} learned with the whole token; the first is at {firstCut}.")];

    public IEnumerable<AnswerWindow> Read(Row row, bool labelled)
    {
        if (TextRows.HoldsTokens(row)) return [OfTokens(row, labelled)];
        var fields = new RowFields(row.Fields);
        string question = fields.FilledText("question", "Expected the question."),
            context = fields.FilledText("context", "Expected the text that answers it.");
        fields.ThrowIfWrong();
        List<(int Start, string Text)> answers = row.Fields.ContainsKey("answers") || labelled
            ? Answers(row, context) : [];
        var asked = new AskedQuestion(context, [.. answers.Select(answer => answer.Text)], row.Place);
        List<AnswerWindow> windows =
            [.. Windows(question, context).Select(encoding => Window(encoding, asked, labelled ? answers : null))];
        if (labelled && answers.Count > 0) NoteCut(windows, answers[0], row.Place);
        return windows;
    }

    private IReadOnlyList<TokenEncoding> Windows(string question, string context)
    {
        int space = rows.MaxLength - rows.Tokenizer.EncodeFull(question, "").Ids.Length;
        if (space <= stride)
            throw new InputException(
                $"the question leaves {space} tokens of {rows.MaxLength} for its context, expected more than " +
                $"{stride}. Raise {KnownSettings.MaxLength}, lower {KnownSettings.Stride}, or shorten the question.");
        return rows.Tokenizer.EncodeWindows(
            question, context,
            new EncodingOptions { MaxLength = rows.MaxLength, Truncation = Truncation.OnlySecond, Stride = stride });
    }

    private AnswerWindow OfTokens(Row row, bool labelled)
    {
        var fields = new RowFields(row.Fields);
        TextInput input = rows.Tokens(fields, row);
        int? Position(string key)
        {
            if (!labelled) return null;
            if (row.Fields[key] is JsonValue value && value.TryGetValue(out int place) && place >= 0
                && place < input.Length)
                return place;
            fields.Problem(
                $"\"{key}\" is {row.Fields[key]?.ToJsonString() ?? "missing"}, expected a token's position from 0 " +
                $"to {input.Length - 1}.");
            return null;
        }
        (int? start, int? end) = (Position("start_position"), Position("end_position"));
        fields.ThrowIfWrong();
        return new AnswerWindow(input, start, end, null, new AskedQuestion("", [], row.Place));
    }

    private static AnswerWindow Window(
        TokenEncoding encoding, AskedQuestion asked, List<(int Start, string Text)>? answers)
    {
        TokenSpan?[] spans =
            [.. encoding.Offsets.Select((span, i) => encoding.Sequences[i] == 1 ? span : (TokenSpan?)null)];
        (int? start, int? end) = answers is null ? (null, null) : answers.Count == 0 ? (0, 0)
            : Place(spans, answers[0].Start, answers[0].Start + answers[0].Text.Length);
        return new AnswerWindow(TextRows.Input(encoding), start, end, spans, asked);
    }

    private void NoteCut(List<AnswerWindow> windows, (int Start, string Text) answer, DataPlace place)
    {
        AnswerWindow? holding = windows.Find(window => window is { Start: > 0, End: > 0 });
        if (holding?.Spans is not { } spans) return;
        (TokenSpan first, TokenSpan last) = (spans[holding.Start!.Value]!.Value, spans[holding.End!.Value]!.Value);
        bool Blank(int from, int to) => from >= to || string.IsNullOrWhiteSpace(holding.Question.Context[from..to]);
        // tokens may begin with the blank before a word
        if (Blank(first.Start, answer.Start) && Blank(answer.Start + answer.Text.Length, last.End)) return;
        cut++;
        firstCut ??= place;
    }

    // The tokens that cover the answer; [CLS] if this window does not contain all of it.
    private static (int? Start, int? End) Place(TokenSpan?[] spans, int from, int to)
    {
        int first = Array.FindIndex(spans, span => span is { } s && s.Start <= from && s.End > from);
        int last = Array.FindLastIndex(spans, span => span is { } s && s.Start < to && s.End >= to);
        return first < 0 || last < first ? (0, 0) : (first, last);
    }

    private static List<(int, string)> Answers(Row row, string context)
    {
        const string Expected =
            "{\"text\": [\"…\"], \"answer_start\": [0]} with as many texts as starts, both empty if the context does " +
            "not contain the answer";
        if (row.Fields["answers"] is not JsonObject answers || answers["text"] is not JsonArray texts
            || answers["answer_start"] is not JsonArray starts || texts.Count != starts.Count)
            throw new InputException(
                $"\"answers\" is {row.Fields["answers"]?.ToJsonString() ?? "missing"}, expected {Expected}.");
        var found = new List<(int, string)>();
        var offsets = new TextOffsets(context); // SQuAD counts characters as code points, like Python
        for (int i = 0; i < texts.Count; i++)
        {
            if (Row.AsText(texts[i]) is not { Length: > 0 } text || starts[i] is not JsonValue value
                || !value.TryGetValue(out int start))
                throw new InputException($"\"answers\" is {answers.ToJsonString()}, expected {Expected}.");
            start = start < 0 || start > offsets.Length ? -1 : offsets.Units(start);
            if (start < 0 || start + text.Length > context.Length
                || !context.AsSpan(start, text.Length).SequenceEqual(text))
                throw new InputException(
                    $"the answer \"{text}\" is not at character {value.ToJsonString()} of the context; " +
                    "correct answer_start, which counts code points as Python does.");
            found.Add((start, text));
        }
        return found;
    }
}

/// <summary>A question about a context, whose windows share it.</summary>
/// <param name="Context">The text that contains the answer; empty for tokenised rows.</param>
/// <param name="Answers">The correct answers in the data; empty if there is none.</param>
/// <param name="Place">The row.</param>
internal sealed record AskedQuestion(string Context, IReadOnlyList<string> Answers, DataPlace? Place);

/// <summary>A question with part of its context.</summary>
/// <param name="Input">Question and part.</param>
/// <param name="Start">The answer's first token; 0 ([CLS]) if this part does not contain the answer; null if
/// unknown.</param>
/// <param name="End">The answer's last token.</param>
/// <param name="Spans">The span of each token in the context; null for tokens outside it, and null for tokenised
/// rows.</param>
/// <param name="Question">The row.</param>
internal sealed record AnswerWindow(TextInput Input, int? Start, int? End, TokenSpan?[]? Spans, AskedQuestion Question)
    : IExample
{
    /// <inheritdoc/>
    public int Length => Input.Length;

    /// <inheritdoc/>
    public int Tokens => Input.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => Start is null ? 0 : 1;

    /// <inheritdoc/>
    public DataPlace? Place => Question.Place;
}
