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
            ? new InputException(
                $"the row has no text to learn from; columns found: {Row.Columns(row)}. Expected one of the " +
                $"forms {Shapes()}; columns of other names are mapped, such as {{prompt: …, completion: …}}.")
                { Remedy = Row.Remedy("text") }
            : Lacking(row, begun.Keys.First(key => !row.ContainsKey(key)));
    }

    private InputException Lacking(JsonObject row, string key) =>
        new($"{Row.Lacks(row, key)} Expected one of the forms {Shapes()}.") { Remedy = Row.Remedy(key) };

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

/// <summary>Reads the fields of a row and collects problems.</summary>
internal sealed class RowFields(JsonObject row)
{
    private readonly List<string> problems = [];
    private string? lacking;

    /// <summary>Whether there are no problems so far.</summary>
    public bool AreRight => problems.Count == 0;

    public void Problem(string problem) => problems.Add(problem);

    /// <summary>A text that is not empty; "" after a problem.</summary>
    public string FilledText(string key, string whenEmpty)
    {
        string text = AnyText(key, out bool isText);
        if (isText && text.Length == 0) problems.Add($"\"{key}\" is empty. {whenEmpty}");
        return text;
    }

    /// <summary>A text; "" after a problem.</summary>
    public string AnyText(string key) => AnyText(key, out _);

    private string AnyText(string key, out bool isText)
    {
        isText = Row.AsText(row[key]) is not null;
        if (!isText) problems.Add(Wrong(key, "a text"));
        return Row.AsText(row[key]) ?? "";
    }

    /// <summary>The problem of a field that is absent or has an unexpected value.</summary>
    public string Wrong(string key, string expected)
    {
        if (row.ContainsKey(key)) return $"\"{key}\" is {Row.Describe(row[key])}, expected {expected}.";
        lacking ??= key;
        return Row.Lacks(row, key);
    }

    /// <summary>Ones for tokens and zeros for padding; a text that is all padding is a problem.</summary>
    public int[] Mask(string key)
    {
        int[] mask = Numbers(key, value => value is 0 or 1, "0 or 1");
        if (mask.Length > 0 && !mask.Contains(1))
            problems.Add($"\"{key}\" is 0 everywhere. Expected 1 at each token of a text; remove the row.");
        return mask;
    }

    /// <summary>Whole numbers; none after a problem.</summary>
    /// <param name="key">The field.</param>
    /// <param name="isAllowed">Whether a number is valid.</param>
    /// <param name="expected">A description of valid numbers for messages.</param>
    public int[] Numbers(string key, Func<long, bool> isAllowed, string expected)
    {
        if (row[key] is not JsonArray list)
        {
            problems.Add(Wrong(key, "a list of whole numbers"));
            return [];
        }
        var numbers = new int[list.Count];
        int wrong = 0;
        for (int i = 0; i < numbers.Length; i++)
        {
            if (list[i] is JsonValue value && value.TryGetValue(out long number) && number is >= int.MinValue
                and <= int.MaxValue && isAllowed(number))
                numbers[i] = (int)number;
            else if (wrong++ == 0)
                problems.Add($"\"{key}\"[{i}] is {Row.Describe(list[i])}, expected {expected}.");
        }
        if (wrong > 1) problems[^1] = problems[^1].TrimEnd('.') + $" ({wrong - 1} more in this list are wrong).";
        return numbers;
    }

    public void ThrowIfWrong()
    {
        if (problems.Count > 0)
            throw new InputException("The row cannot be used:", problems)
                { Remedy = lacking is null ? null : Row.Remedy(lacking) };
    }
}
