using LowRank.Adapters.Files;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Adapters;

/// <summary>The tokens that an adapter adds to its base's vocabulary: a tokenizer with these tokens, stored in the
/// adapter's folder as is usual with PEFT.</summary>
/// <remarks>The base is opened with <see cref="Rows"/> rows (<see cref="PretrainedModel.Open"/>). The new rows are
/// trained as <c>trainable_token_indices</c>, in the embedding and in a separate output head; a config that saves those
/// whole (<c>modules_to_save</c>) trains them there.</remarks>
public sealed class AdapterVocabulary
{
    // The last names of vocabulary tables in the existing families.
    private static readonly HashSet<string> Tables =
        ["embed_tokens", "lm_head", "wte", "embed_in", "embed_out", "word_embeddings", "tok_embeddings",
            "shared", "decoder"];

    private readonly string folder;
    private readonly IReadOnlyDictionary<string, string> files;
    private readonly Lazy<int> rows;

    private AdapterVocabulary(string folder, IReadOnlyList<int> ids, IReadOnlyDictionary<string, string> files)
    {
        (this.folder, NewIds, this.files) = (folder, ids, files);
        rows = new Lazy<int>(() => Tokenizer(null).VocabularySize);
    }

    /// <summary>Ids of the new tokens; empty if the vocabulary was read from an adapter's folder.</summary>
    public IReadOnlyList<int> NewIds { get; }

    /// <summary>Number of rows that a model needs for all tokens; models often have more.</summary>
    public int Rows => rows.Value;

    /// <summary>Adds tokens to the tokenizer of a base.</summary>
    /// <param name="modelFolder">The base's folder, with tokenizer.json.</param>
    /// <param name="tokens">The tokens' texts.</param>
    /// <exception cref="InputException">There is no tokenizer.json, or a token is blank, already exists or is
    /// repeated.</exception>
    public static AdapterVocabulary Extend(string modelFolder, IReadOnlyList<string> tokens)
    {
        TokenizerExtension extension = TokenizerExtension.Of(modelFolder, tokens);
        return new AdapterVocabulary(modelFolder, extension.Ids, extension.Files);
    }

    /// <summary>The tokenizer in an adapter's folder; null if there is none.</summary>
    /// <exception cref="InputException">The tokenizer is invalid.</exception>
    public static AdapterVocabulary? Load(string adapterFolder)
    {
        IReadOnlyDictionary<string, string> files = TokenizerExtension.FilesOf(adapterFolder);
        return files.ContainsKey(TokenizerExtension.FileName) ? new AdapterVocabulary(adapterFolder, [], files) : null;
    }

    /// <summary>The tokenizer.</summary>
    /// <param name="endOfText">The token that ends a text if the files do not specify one.</param>
    public Tokenizer Tokenizer(int? endOfText) =>
        Tokenizers.Tokenizer.Parse(files[TokenizerExtension.FileName], folder, endOfText);

    /// <summary>Whether another adapter has the same tokenizer.</summary>
    public bool IsSame(AdapterVocabulary other) =>
        files[TokenizerExtension.FileName] == other.files[TokenizerExtension.FileName];

    /// <summary>Number of rows that the base needs for an adapter: for its tokenizer, its trained tokens and its
    /// tables; 0 if unknown.</summary>
    /// <exception cref="InputException">There is no adapter, or its files are invalid.</exception>
    public static int RowsFor(string adapterFolder)
    {
        string path = Adapter.TensorsPath(adapterFolder);
        AdapterConfig config = AdapterConfig.Load(adapterFolder);
        int told = Load(adapterFolder)?.Rows ?? 0;
        if (!File.Exists(path)) return told;
        using SafeTensorsFile file = AdapterTensorFile.Load(adapterFolder);
        return Math.Max(told, RowsOf(config, file));
    }

    /// <summary>Number of rows that an adapter's tensors need.</summary>
    internal static int RowsOf(AdapterConfig config, SafeTensorsFile file)
    {
        List<long> rows =
            [0, .. (config.TrainedTokens ?? []).SelectMany(table => table.Value.Select(token => token + 1L))];
        foreach ((string key, SafeTensorsEntry entry) in file.Entries)
            if (entry.Shape.Length == 2
                && PeftTensorKeys.Parse(key.Replace(".token_adapter.base_layer", "", StringComparison.Ordinal))
                is { } place && Tables.Contains(ModulePath.LastName(place.Path)))
                rows.Add(
                    place.Part switch { AdapterTensorPart.Weight or AdapterTensorPart.AdaptedWeight => entry.Shape[0],
                    AdapterTensorPart.EmbeddingA => entry.Shape[1], _ => 0 });
        return (int)Math.Min(int.MaxValue, rows.Max());
    }

    /// <summary>The tokenizer of several adapters.</summary>
    /// <param name="vocabularies">Each adapter's tokenizer; null for an adapter without one.</param>
    /// <returns>Null if no adapter has one.</returns>
    /// <exception cref="InputException">Two adapters have different tokenizers.</exception>
    public static AdapterVocabulary? Common(IEnumerable<AdapterVocabulary?> vocabularies)
    {
        AdapterVocabulary[] all = [.. vocabularies.OfType<AdapterVocabulary>()];
        if (all.FirstOrDefault(other => !other.IsSame(all[0])) is { } different)
            throw new InputException(
                $"The adapters {all[0].folder} and {different.folder} have different tokenizers: their tokens have " +
                "the same ids. Use them one at a time.");
        return all.FirstOrDefault();
    }

    /// <summary>A config that also trains the new tokens' rows.</summary>
    /// <param name="config">The config.</param>
    /// <param name="network">The model, opened with <see cref="Rows"/> rows.</param>
    /// <exception cref="InputException">The config adapts the embedding or the output head with a pair: rows would be
    /// trained twice.</exception>
    public LoraConfig Train(LoraConfig config, INetwork network)
    {
        List<ModuleInfo> tables =
            [.. ModuleInfo.From(network)
            .Where(module => module.IsInputEmbedding || (module.IsOutputHead && !network.TiesHead))
            .Where(module => !(config.ModulesToSave ?? [])
            .Any(name => SavedModules.Selects(name, module.Path + ".weight")))];
        var target = new ModuleFilter(config.TargetModules is { IsAllLinear: false } given ? given
            : null, "target_modules");
        string[] twice = [.. tables.Where(module => target.Matches(module.Path)).Select(module => module.Path)];
        if (twice.Length > 0)
            throw new InputException(
                "New tokens are trained as rows of these modules, which target_modules names besides. Take them " +
                "out of target_modules, or train them whole (modules_to_save):", twice);
        Dictionary<string, IReadOnlyList<int>> before = (config.TrainableTokenIndices ?? []).ToDictionary(
            table => table.Key ?? ModuleInfo.From(network).First(module => module.IsInputEmbedding).Path,
                table => table.Value);
        if (tables.Count == 0) return config;
        foreach (ModuleInfo table in tables)
        {
            string key = before.Keys.FirstOrDefault(
                name => table.Path == name || table.Path.EndsWith("." + name, StringComparison.Ordinal)) ?? table.Path;
            before[key] = [.. before.GetValueOrDefault(key, []).Union(NewIds)];
        }
        bool isPlain = tables is [{ IsInputEmbedding: true }] && before.Count == 1;
        return config with { TrainableTokenIndices = [
            .. before.Select(
                table => KeyValuePair.Create(isPlain ? null : ModulePath.LastName(table.Key), table.Value))] };
    }

    /// <summary>Writes the tokenizer's files into a folder.</summary>
    public void Save(string into)
    {
        foreach ((string name, string text) in files)
        {
            string path = Path.Combine(into, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
    }
}
