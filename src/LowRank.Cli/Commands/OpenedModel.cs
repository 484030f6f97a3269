using LowRank.Adapters;
using LowRank.Models;
using LowRank.Tokenization;

namespace LowRank.Cli.Commands;

/// <summary>A model as the command line opened it.</summary>
/// <param name="Model">The base.</param>
/// <param name="Adapters">Its adapters, by their folders; empty for the base alone.</param>
internal sealed record OpenedModel(PretrainedModel Model, AdapterSet Adapters) : IDisposable
{
    /// <summary>The model's tokenizer, or an adapter's own.</summary>
    /// <param name="talks">Whether conversations are written, by an adapter's template where one has its own.</param>
    /// <exception cref="InputException">There is none, or two adapters have different ones.</exception>
    public Tokenizer RequireTokenizer(bool talks = false)
    {
        Tokenizer tokenizer = AdapterChatTemplates.Open(Model.Folder, AdapterVocabulary.Common(Adapters.Names.Select(name => Adapters[name].Vocabulary)),
            talks ? AdapterChatTemplates.Common(Adapters.Names.Select(name => Adapters[name].ChatTemplates)) : null, Model.Generation.EndOfText) ?? throw new InputException(
            $"{Model.Folder} has no tokenizer; expected tokenizer.json, or vocab.json and merges.txt. Copy the model's tokenizer files into the folder.");
        foreach (string note in tokenizer.Notes) Console.Error.WriteLine("note: " + note);
        return tokenizer;
    }

    /// <summary>The tokens that end a text: the generation config's, else the tokenizer's.</summary>
    public IReadOnlyList<int> StopTokens(Tokenizer? tokenizer) =>
        [.. Model.Generation.EosTokenIds.Concat(tokenizer?.EosTokenId is { } end ? [end] : []).Distinct()];

    public void Dispose()
    {
        Adapters.Dispose();
        Model.Dispose();
    }
}
