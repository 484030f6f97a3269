using LowRank.Tokenization;
namespace LowRank.Data.Forms;

/// <summary><c>{"prompt", "completion"}</c>: the completion and the end-of-text token after it are learned, as what follows
/// the very ids that a model is given to generate from.</summary>
internal sealed class PromptForm(ITextTokenizer tokenizer, TrainOn trainOn) : ISampleForm
{
    public string Shape => "{\"prompt\", \"completion\"}";

    public IReadOnlyList<string> Keys { get; } = ["prompt", "completion"];

    public IReadOnlyList<string> OptionalKeys { get; } = [];

    public IReadOnlyList<TokenizedExample> Tokenize(Sample sample)
    {
        var fields = new RowFields(sample.Row);
        string prompt = fields.FilledText("prompt", "Expected a text to continue; a text without a prompt is a row {\"text\": \"…\"}.");
        string completion = fields.FilledText("completion", "Expected the text to learn.");
        fields.ThrowIfWrong();
        int[] before = PromptEncoding.Prompt(tokenizer, prompt);
        int[] after = PromptEncoding.Ended(tokenizer, PromptEncoding.Completion(tokenizer, prompt, before, completion));
        int[] ids = [.. before, .. after], labels = [.. ids];
        if (trainOn == TrainOn.Completion) labels.AsSpan(0, before.Length).Fill(TokenizedExample.Ignored);
        return [new TokenizedExample(ids, labels)];
    }
}
