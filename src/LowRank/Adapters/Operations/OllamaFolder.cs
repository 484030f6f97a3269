using System.Globalization;
using System.Text.Json.Nodes;
using LowRank.Adapters.Files;
using LowRank.Data.Chat;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Models;
using LowRank.Models.Gguf;
using LowRank.Tokenizers;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Folders from which Ollama makes a model: a Modelfile, and the model as a GGUF file beside it.</summary>
/// <remarks>The chat template is translated to Ollama's language, by what it writes around the words of conversations
/// that are rendered with it; the translation's rendering of others is compared with its own.</remarks>
public static class OllamaFolder
{
    private const string Model = "model.gguf", OwnAdapter = "adapter.gguf";

    // What generation_config.json says, and Ollama's parameters.
    private static readonly (string Key, string Parameter)[] Parameters =
    [
        ("temperature", "temperature"), ("top_k", "top_k"), ("top_p", "top_p"), ("min_p", "min_p"),
        ("repetition_penalty", "repeat_penalty"), ("max_new_tokens", "num_predict"),
    ];

    /// <summary>Writes a model folder, a tensor at a time, perhaps with an adapter in a file of its own.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="adapter">The adapter's folder; null for none.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <param name="options">What to write.</param>
    /// <returns>What the user should know, one sentence each.</returns>
    /// <exception cref="InputException">The chat template cannot be translated, llama.cpp does not know the model, or
    /// GGUF has no place for the adapter; the message says what can be done.</exception>
    public static IReadOnlyList<string> Write(string model, string? adapter, string target, OllamaOptions options)
    {
        LoraFolder? pairs = adapter is null ? null : Pairs(adapter);
        var files = new Files(
            model, adapter is null ? null : AdapterVocabulary.Load(adapter),
            adapter is null ? null : AdapterChatTemplates.Load(adapter),
            adapter is null ? null : AdapterData.Load(adapter));
        return Write(files, target, options, hasAdapter: adapter is not null, folder =>
        {
            if (pairs is not null)
                using (NewDisposeScope())
                    GgufAdapter.FromPeft(pairs, adapter!, model, Path.Combine(folder, OwnAdapter));
            string file = Path.Combine(folder, Model);
            return files.Templates is null ? GgufModel.Write(model, file, options.Type)
                : WithTemplates(files, beside => GgufModel.Write(new GgufFolder(beside, model), file, options.Type));
        });
    }

    /// <summary>Writes a model with adapters merged into it.</summary>
    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapters">The adapters with the factors of their changes, as in <see cref="AdapterMerge"/>.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <param name="options">What to write.</param>
    /// <returns>The errors from a quantised base, and what the user should know, one sentence each.</returns>
    /// <exception cref="InputException">The chat template cannot be translated, llama.cpp does not know the model, or a
    /// weight cannot represent a change.</exception>
    public static (MergeReport Report, IReadOnlyList<string> Notes) Write(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters, string target,
        OllamaOptions options)
    {
        var files = new Files(
            model.Folder, AdapterVocabulary.Common(adapters.Select(given => given.Adapter.Vocabulary)),
            AdapterChatTemplates.Common(adapters.Select(given => given.Adapter.ChatTemplates)),
            AdapterData.Common(adapters.Select(given => given.Adapter.Data)));
        MergeReport? report = null;
        IReadOnlyList<string> notes = Write(files, target, options, hasAdapter: false, folder =>
        {
            (report, IReadOnlyList<string> told) =
                AdapterMerge.WriteGguf(model, adapters, Path.Combine(folder, Model), options.Type);
            return told;
        });
        return (report!, notes);
    }

    private static IReadOnlyList<string> Write(
        Files files, string target, OllamaOptions options, bool hasAdapter,
        Func<string, IReadOnlyList<string>> writeModel)
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(files.Model, "config.json"));
        if (GgufArchitecture.From(config).Name == "t5")
            throw new InputException(
                $"{files.Model} is an encoder-decoder model, which Ollama does not serve. llama.cpp's " +
                "llama-completion takes it as a GGUF file.");
        GenerationSettings generation = GenerationSettings.Read(files.Model, config);
        Tokenizer? tokenizer = AdapterChatTemplates.LoadTokenizer(
            files.Model, files.Vocabulary, files.Templates, generation.EndOfText);
        var notes = new List<string>();
        TurnShape? shape = options.Template is null ? Shape(tokenizer, notes) : null;
        string? system = options.System ?? Told(files.Data);
        if (system is not null) CheckSystem(system, shape, options, notes);
        AtomicFolder.Write(target, folder =>
        {
            notes.AddRange(writeModel(folder));
            string license = License(files.Model, folder);
            string? template = options.Template ?? Template(shape, tokenizer, folder, notes);
            Modelfile file = new Modelfile().Comment("ollama create NAME -f Modelfile").Add("FROM", "./" + Model)
                .Add("ADAPTER", hasAdapter ? "./" + OwnAdapter : null)
                .Add("TEMPLATE", template).Add("SYSTEM", system);
            AddParameters(file, files.Model, options);
            foreach (string stop in Stops(tokenizer, generation)) file.Add("PARAMETER stop", stop);
            if (Modelfile.CanHold(license)) file.Add("LICENSE", license.Length == 0 ? null : license);
            File.WriteAllText(Path.Combine(folder, "Modelfile"), file.ToString());
        });
        return notes;
    }

    // Parts that GGUF has no place for go along in the merged model.
    private static LoraFolder Pairs(string adapter)
    {
        try
        {
            return LoraFolder.Load(adapter);
        }
        catch (InputException e) when (e.Problems.Count > 0)
        {
            throw new InputException(
                Words.Of($"{adapter} has parts that {KnownSettings.SeparateAdapter} cannot hold. Merged they can be:"),
                e.Problems);
        }
    }

    private static IReadOnlyList<string> WithTemplates(Files files, Func<string, IReadOnlyList<string>> write)
    {
        string beside = Directory.CreateTempSubdirectory("lowrank-ollama-").FullName;
        try
        {
            ModelFolder.CopyCompanions(files.Model, beside);
            files.Templates!.Save(beside);
            return write(beside);
        }
        finally
        {
            Directory.Delete(beside, recursive: true);
        }
    }

    private static TurnShape? Shape(Tokenizer? tokenizer, List<string> notes)
    {
        if (tokenizer is null || ChatFormats.Obstacle(tokenizer) is not null)
        {
            notes.Add("There is no chat template: Ollama continues texts as they are.");
            return null;
        }
        IChatWriter format = ChatFormats.Writer(tokenizer);
        if (TurnShape.Find(format, out string reason) is not { } shape)
            throw new InputException(
                $"The chat template cannot be translated to Ollama's language: {reason}. Write it in that language" +
                $"{KnownSettings.OwnTemplate.Aside}, or serve the model with a program that takes the template as it " +
                $"is: llama-server, from a GGUF file{KnownSettings.Convert.Aside}, or this one" +
                $"{KnownSettings.Serve.Aside}.");
        if (shape.TrimsWords)
            notes.Add("The chat template takes blanks away from the edges of what is said; Ollama keeps them.");
        if (shape.Place == SystemPlace.None)
            notes.Add("The chat template takes no system message, so Ollama leaves system messages out.");
        string source = tokenizer.ChatTemplateSource ?? "";
        if (format.Names(withTools: false).Contains("tools"))
            notes.Add("Tools are not translated: the model answers in Ollama without them.");
        if (source.Contains("strftime_now", StringComparison.Ordinal))
            notes.Add("The chat template may write the day's date; the Modelfile has that of today.");
        return shape;
    }

    private static string Template(TurnShape? shape, Tokenizer? tokenizer, string folder, List<string> notes)
    {
        if (shape is null) return "{{ .Prompt }}";
        using GgufFile model = GgufFile.Open(Path.Combine(folder, Model));
        string? first = tokenizer!.BosTokenId is { } id ? tokenizer.IdToToken(id) : null;
        if (first is null || model.Metadata.Flag("tokenizer.ggml.add_bos_token") != true)
            return GoTemplate.Write(shape);
        if (tokenizer.ChatTemplates.Count > 0 && !shape.Opening.StartsWith(first, StringComparison.Ordinal))
            notes.Add($"Ollama begins every text with {first}, which the chat template does not.");
        return GoTemplate.Write(shape.Without(first));
    }

    private static string? Told(AdapterData? data) =>
        data?.Template?.GetValueOrDefault("system") is { } told
        && !told.Contains("{{", StringComparison.Ordinal) && !told.Contains("{%", StringComparison.Ordinal)
        && !told.Contains("{#", StringComparison.Ordinal) ? told : null;

    private static void CheckSystem(string system, TurnShape? shape, OllamaOptions options, List<string> notes)
    {
        if (!Modelfile.CanHold(system) || system.EnumerateRunes().Any(character => !GoTemplate.IsKept(character)))
            throw new InputException(
                $"{KnownSettings.SystemMessage} has three quotes in a row, or a character that Ollama's Modelfiles " +
                $"cannot hold. Change the text.");
        if (options.Template is null && shape?.Place is null or SystemPlace.None)
            notes.Add("The system message has no effect: there is no place for it in the chat template.");
    }

    private static void AddParameters(Modelfile file, string folder, OllamaOptions options)
    {
        string path = Path.Combine(folder, "generation_config.json");
        JsonObject config = File.Exists(path) ? JsonObjects.Read(path) : [];
        string? context = options.ContextLength?.ToString(CultureInfo.InvariantCulture) ?? Number(config, "max_length");
        file.Add("PARAMETER num_ctx", context);
        bool isGreedy = config["do_sample"] is JsonValue sampling && sampling.TryGetValue(out bool samples) && !samples;
        if (isGreedy) file.Add("PARAMETER temperature", "0");
        foreach ((string key, string parameter) in Parameters)
            if (!isGreedy || key is "repetition_penalty" or "max_new_tokens")
                file.Add("PARAMETER " + parameter, Number(config, key));
    }

    private static string? Number(JsonObject config, string key) =>
        config[key] is JsonValue value && value.TryGetValue(out double number)
            ? number.ToString("R", CultureInfo.InvariantCulture) : null;

    private static IEnumerable<string> Stops(Tokenizer? tokenizer, GenerationSettings generation)
    {
        if (tokenizer is null) return [];
        int? end = ChatFormats.Obstacle(tokenizer) is null
            ? ChatFormats.EndOfTurn(ChatFormats.Writer(tokenizer), tokenizer) : null;
        return generation.StopTokens(tokenizer).Concat(end is { } turn ? [turn] : []).Distinct()
            .Select(tokenizer.IdToToken).OfType<string>().Where(token => token.Length > 0);
    }

    // The licence's text; empty if there is none. Ollama shows it, and the file goes along.
    private static string License(string model, string folder)
    {
        string[] files = [.. Directory.GetFiles(model).Where(path =>
            Path.GetFileNameWithoutExtension(path).Equals("license", StringComparison.OrdinalIgnoreCase)).Order()];
        foreach (string path in files) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
        return files is [var first, ..] ? SmallFile.ReadText(first) : "";
    }

    private sealed record Files(
        string Model, AdapterVocabulary? Vocabulary, AdapterChatTemplates? Templates, AdapterData? Data);
}

/// <summary>What is written for Ollama.</summary>
public sealed class OllamaOptions
{
    /// <summary>The type of the model's file, one of <see cref="GgufModel.Types"/>. Default: q4_k_m.</summary>
    public string Type { get; init; } = "q4_k_m";

    /// <summary>The template in Ollama's language; null translates the model's.</summary>
    public string? Template { get; init; }

    /// <summary>The system message of conversations without one; null takes that with which an adapter was trained, if
    /// it was the same for all rows.</summary>
    public string? System { get; init; }

    /// <summary>How many tokens a conversation may have; null leaves it to Ollama, unless the model's generation config
    /// says it.</summary>
    public int? ContextLength { get; init; }
}
