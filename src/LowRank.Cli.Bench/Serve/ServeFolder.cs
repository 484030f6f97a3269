using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Cli.Bench.Serve;

/// <summary>The folders of what is served: the base, with a tokenizer, and adapters with random pairs.</summary>
internal sealed class ServeFolder : IDisposable
{
    private const string TokenizerFile = "tokenizer.json";
    private readonly BenchFolder model;
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-adapters-").FullName;

    private ServeFolder(BenchFolder model) => this.model = model;

    /// <summary>The base's folder.</summary>
    public string Path => model.Path;

    /// <summary>The adapters' folders.</summary>
    public IReadOnlyList<string> Adapters { get; private set; } = [];

    /// <summary>The names of the adapted modules, such as q_proj.</summary>
    public IReadOnlyList<string> Modules { get; private set; } = [];

    /// <summary>Writes what the options ask for.</summary>
    /// <exception cref="InputException">They fit no model.</exception>
    public static ServeFolder Open(ServeOptions options)
    {
        var folder = new ServeFolder(BenchFolder.Open(options.Shape, layers: options.Layers));
        try
        {
            folder.Fill(options);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        model.Dispose();
        Directory.Delete(root, recursive: true);
    }

    private void Fill(ServeOptions options)
    {
        using PretrainedModel opened = PretrainedModel.Open(Path);
        if (model.IsDrawn)
            File.WriteAllText(System.IO.Path.Combine(Path, TokenizerFile), Words(opened.Network.VocabularySize));
        int most = opened.Decoder.MaxPositions;
        if (options.Prompt + options.New > most)
            throw new InputException(
                $"--prompt {options.Prompt} and --new {options.New} make {options.Prompt + options.New} positions; " +
                $"{options.Shape} takes at most {most}");
        List<string> folders = [];
        for (int i = 0; i < options.Adapters; i++)
        {
            // B is random too, so the adapters have an effect.
            using Adapter adapter = Adapter.Create(opened, new LoraConfig
            {
                Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets),
                InitLoraWeights = InitialWeights.False,
            }, seed: i + 1);
            folders.Add(System.IO.Path.Combine(root, $"adapter-{i}"));
            adapter.Save(folders[i]);
            Modules = [.. adapter.Layers.Keys.Select(path => path.Split('.')[^1]).Distinct()];
        }
        Adapters = folders;
    }

    // The 256 bytes, and a word for each further token.
    private static string Words(int size)
    {
        JsonNode tokenizer = JsonNode.Parse(BytePairTrainer.Train([], 256, []))!;
        JsonObject vocabulary = tokenizer["model"]!["vocab"]!.AsObject();
        for (int token = vocabulary.Count; token < size; token++) vocabulary[$"Ġw{token}"] = token;
        return tokenizer.ToJsonString();
    }
}
