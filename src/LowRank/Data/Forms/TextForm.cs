using LowRank.Tokenization;
namespace LowRank.Data.Forms;

/// <summary><c>{"text"}</c>: a document. Every token is learned, the end-of-text token too, which is added where the
/// tokenizer has one and the text does not end with it.</summary>
internal sealed class TextForm(ITextTokenizer tokenizer) : ISampleForm
{
    public string Shape => "{\"text\"}";

    public IReadOnlyList<string> Keys { get; } = ["text"];

    public IReadOnlyList<string> OptionalKeys { get; } = [];

    public IReadOnlyList<TokenizedExample> Tokenize(Sample sample)
    {
        var fields = new RowFields(sample.Row);
        string text = fields.FilledText("text", "Expected a document; remove the row.");
        fields.ThrowIfWrong();
        int[] ids = PromptEncoding.Ended(tokenizer, PromptEncoding.Text(tokenizer, text));
        return [new TokenizedExample(ids, [.. ids])];
    }
}
