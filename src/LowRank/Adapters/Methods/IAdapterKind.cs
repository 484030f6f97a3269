using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Models;
using LowRank.Tensors;

namespace LowRank.Adapters.Methods;

/// <summary>A kind of adapter file: a value of PEFT's <c>peft_type</c>, with its settings, its tensors and its layers.</summary>
/// <remarks>Found by type: adding one edits no list.</remarks>
internal interface IAdapterKind
{
    /// <summary>The value of <c>peft_type</c>.</summary>
    string PeftType { get; }

    /// <summary>Its name in messages.</summary>
    string Label { get; }

    /// <summary>The keys of its config, as PEFT writes them.</summary>
    IReadOnlyList<LoraConfigKey> Keys { get; }

    /// <summary>Whether it adapts layers that <c>target_modules</c> selects.</summary>
    bool HasTargets => true;

    /// <summary>Why it does not adapt embeddings; null where it does.</summary>
    string? RefusesEmbeddings(LoraConfig config) => $"{Label} adapts linear layers only";

    /// <summary>The modules it adapts where a config names none; null where there is no default for the model type.</summary>
    IReadOnlyList<string>? DefaultTargets(string modelType) => Adapters.DefaultTargets.Find(modelType);

    /// <summary>A config with what follows from the model, as PEFT fills it in for a new adapter.</summary>
    LoraConfig Fill(LoraConfig config, PretrainedModel model) => config;

    /// <summary>A config with what its kind takes from a table for the model type where a file leaves it out.</summary>
    LoraConfig Complete(LoraConfig config, string modelType) => config;

    /// <summary>What is wrong with a config, a line each, the key first.</summary>
    IEnumerable<string> Problems(LoraConfig config);

    /// <summary>The tensors that an adapter's file has for the modules it adapts.</summary>
    /// <param name="config">The config.</param>
    /// <param name="targets">The adapted modules with their ranks.</param>
    /// <param name="modules">All modules of the model.</param>
    IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules);

    /// <summary>Builds what the adapter does to the model's layers.</summary>
    IReadOnlyList<IAdapterPart> Build(AdapterBuild build);

    /// <summary>What a file of this kind changes in each module, without its base.</summary>
    IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) => [];

    /// <summary>How many numbers of a file are trained.</summary>
    long TrainedCount(SafeTensorsFile file) => file.Entries.Values.Sum(entry => entry.ElementCount);

    /// <summary>What is written for an adapter: its config and tensors, changed where a plain save would be wrong on the
    /// untouched base.</summary>
    AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts) => new(config, [.. parts.SelectMany(part => part.Weights)]);
}
