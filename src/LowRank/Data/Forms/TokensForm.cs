namespace LowRank.Data.Forms;

/// <summary><c>{"input_ids", "labels"[, "attention_mask"]}</c>: taken as it is.</summary>
internal sealed class TokensForm(int vocabularySize) : ISampleForm
{
    private const string Mask = "attention_mask";

    public string Shape => "{\"input_ids\", \"labels\"[, \"attention_mask\"]}";

    public IReadOnlyList<string> Keys { get; } = ["input_ids", "labels"];

    public IReadOnlyList<string> OptionalKeys { get; } = [Mask];

    public IReadOnlyList<TokenizedExample> Tokenize(Sample sample)
    {
        var fields = new RowFields(sample.Row);
        bool IsToken(long id) => id >= 0 && id < vocabularySize;
        int[] ids = fields.Numbers("input_ids", IsToken, $"a token from 0 to {vocabularySize - 1}");
        int[] labels = fields.Numbers("labels", id => id == TokenizedExample.Ignored || IsToken(id), $"-100 or a token from 0 to {vocabularySize - 1}");
        int[]? mask = sample.Row.ContainsKey(Mask) ? fields.Mask(Mask) : null;
        fields.ThrowIfWrong(); // a length says nothing where the list was none
        if (ids.Length == 0) fields.Problem("\"input_ids\" is empty. Expected the tokens of a text.");
        if (labels.Length != ids.Length)
            fields.Problem($"\"labels\" has {labels.Length} numbers and \"input_ids\" {ids.Length}. Expected a label for each token, -100 where none is learned.");
        if (mask is not null && mask.Length != ids.Length)
            fields.Problem($"\"attention_mask\" has {mask.Length} numbers and \"input_ids\" {ids.Length}. Expected one for each token.");
        fields.ThrowIfWrong();
        return [new TokenizedExample(ids, labels, mask)];
    }
}
