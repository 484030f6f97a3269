using System.Text.Json.Nodes;
using LowRank.Tokenizers;

namespace LowRank.Data.Forms;

/// <summary>Finds the form of a row by its keys. A file may mix forms.</summary>
/// <param name="forms">The available forms.</param>
/// <param name="note">Appended to the list of forms in messages; may be empty.</param>
internal sealed class RowForms(IReadOnlyList<IRowForm> forms, string note)
{
    /// <summary>The form of a row.</summary>
    /// <exception cref="InputException">The row has no form, only part of one, or keys of two.</exception>
    public IRowForm Of(JsonObject row)
    {
        IRowForm? form = forms.FirstOrDefault(candidate => candidate.Keys.All(row.ContainsKey));
        if (form is null) throw Formless(row);
        List<string> foreign =
        [
            .. forms.Where(other => other != form).SelectMany(other => other.Keys.Concat(other.OptionalKeys))
                .Where(row.ContainsKey).Select(Quote),
        ];
        if (foreign.Count > 0)
            throw new InputException(
                $"the row has the form {form.Shape} and also {string.Join(", ", foreign)} of another. " +
                $"Expected one of the forms {Shapes()}: remove or rename what does not belong to it.");
        return form;
    }

    private InputException Formless(JsonObject row)
    {
        // If part of a form is present, its other keys are missing.
        IRowForm? begun = forms.Where(candidate => candidate.Keys.Any(row.ContainsKey))
            .MaxBy(candidate => candidate.Keys.Count(row.ContainsKey));
        return begun is null
            ? new InputException(new Problem(
                $"the row has no text to learn from; columns found: {Row.Columns(row)}. Expected one of the " +
                $"forms {Shapes()}; columns of other names are mapped, such as {{prompt: …, completion: …}}.")
                {
                    Code = ProblemCodes.RowLacksField, Found = Row.Columns(row), Expected = Shapes(),
                    Remedy = KnownSettings.Columns.To("text"),
                })
            : new InputException(Row.Lacking(
                row, begun.Keys.First(key => !row.ContainsKey(key)), $"Expected one of the forms {Shapes()}."));
    }

    private string Shapes() => string.Join(" | ", forms.Select(form => form.Shape)) + note;

    private static string Quote(string key) => $"\"{key}\"";
}

/// <summary>One of the forms a row may have.</summary>
internal interface IRowForm
{
    /// <summary>The form, for messages.</summary>
    string Shape { get; }

    /// <summary>Keys that every row of this form has and no row of another form has.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Optional keys of the form.</summary>
    IReadOnlyList<string> OptionalKeys { get; }

    /// <summary>Converts a row that has all of <see cref="Keys"/> to one example, or to several for a
    /// conversation.</summary>
    /// <exception cref="InputException">The row is invalid; the problems do not contain its place.</exception>
    IReadOnlyList<TokenizedExample> Tokenize(Row row);
}

/// <summary><c>{"text"}</c>: a document. Every token is learned, including the end-of-text token, which is added if the
/// tokenizer has one and the text does not end with it.</summary>
internal sealed class TextForm(ITextTokenizer tokenizer) : IRowForm
{
    public string Shape => "{\"text\"}";

    public IReadOnlyList<string> Keys { get; } = ["text"];

    public IReadOnlyList<string> OptionalKeys { get; } = [];

    public IReadOnlyList<TokenizedExample> Tokenize(Row row)
    {
        var fields = new RowFields(row.Fields);
        string text = fields.FilledText("text", "Expected a document; remove the row.");
        fields.ThrowIfWrong();
        int[] ids = PromptEncoding.Ended(tokenizer, PromptEncoding.Text(tokenizer, text));
        return [new TokenizedExample(ids, [.. ids])];
    }
}

/// <summary><c>{"prompt", "completion"}</c>: the completion and the end-of-text token after it are learned. They follow
/// exactly the ids from which a model generates.</summary>
internal sealed class PromptForm(ITextTokenizer tokenizer, TrainOn trainOn) : IRowForm
{
    public string Shape => "{\"prompt\", \"completion\"}";

    public IReadOnlyList<string> Keys { get; } = ["prompt", "completion"];

    public IReadOnlyList<string> OptionalKeys { get; } = [];

    public IReadOnlyList<TokenizedExample> Tokenize(Row row)
    {
        var fields = new RowFields(row.Fields);
        string prompt =
            fields.FilledText(
                "prompt", "Expected a text to continue; a text without a prompt is a row {\"text\": \"…\"}.");
        string completion = fields.FilledText("completion", "Expected the text to learn.");
        fields.ThrowIfWrong();
        int[] before = PromptEncoding.Prompt(tokenizer, prompt);
        int[] after = PromptEncoding.Ended(tokenizer, PromptEncoding.Completion(tokenizer, prompt, before, completion));
        int[] ids = [.. before, .. after], labels = [.. ids];
        if (trainOn == TrainOn.Completion) labels.AsSpan(0, before.Length).Fill(TokenizedExample.Ignored);
        return [new TokenizedExample(ids, labels)];
    }
}

/// <summary><c>{"input_ids", "labels"[, "attention_mask"]}</c>: used unchanged.</summary>
internal sealed class TokensForm(int vocabularySize) : IRowForm
{
    private const string Mask = "attention_mask";

    public string Shape => "{\"input_ids\", \"labels\"[, \"attention_mask\"]}";

    public IReadOnlyList<string> Keys { get; } = ["input_ids", "labels"];

    public IReadOnlyList<string> OptionalKeys { get; } = [Mask];

    public IReadOnlyList<TokenizedExample> Tokenize(Row row)
    {
        var fields = new RowFields(row.Fields);
        bool IsToken(long id) => id >= 0 && id < vocabularySize;
        int[] ids = fields.Numbers("input_ids", IsToken, $"a token from 0 to {vocabularySize - 1}");
        int[] labels =
            fields.Numbers(
                "labels", id =>
                id == TokenizedExample.Ignored || IsToken(id), $"-100 or a token from 0 to {vocabularySize - 1}");
        int[]? mask = row.Fields.ContainsKey(Mask) ? fields.Mask(Mask) : null;
        fields.ThrowIfWrong(); // the lengths are meaningless if a list was invalid
        if (ids.Length == 0) fields.Problem("\"input_ids\" is empty. Expected the tokens of a text.");
        if (labels.Length != ids.Length)
            fields.Problem(
                $"\"labels\" has {labels.Length} numbers and \"input_ids\" {ids.Length}. Expected a label for each " +
                "token, -100 where none is learned.");
        if (mask is not null && mask.Length != ids.Length)
            fields.Problem(
                $"\"attention_mask\" has {mask.Length} numbers and \"input_ids\" {ids.Length}. Expected one for " +
                "each token.");
        fields.ThrowIfWrong();
        return [new TokenizedExample(ids, labels, mask)];
    }
}
