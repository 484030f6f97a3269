using LowRank.Adapters.Files;
using LowRank.Models;
using TorchSharp;

namespace LowRank.Adapters;

/// <summary>Finds the weights of modules that are trained and saved whole (<c>modules_to_save</c>).</summary>
/// <remarks>As PEFT (_set_trainable in peft/utils/other.py), a name selects every module whose path ends with it, letter by
/// letter: "classifier" selects "pre_classifier" too, and what a module holds comes with it.</remarks>
internal static class SavedModules
{
    /// <summary>The names of the parameters that the names select, as the model has them.</summary>
    /// <exception cref="InputException">They select a weight that is kept packed, which cannot be trained.</exception>
    public static IEnumerable<string> Parameters(IReadOnlyCollection<string> names, INetwork network)
    {
        string[] packed = [.. network.PackedWeights.Keys.Where(parameter => names.Any(name => Selects(name, network.ModulePath(parameter))))];
        if (packed.Length > 0)
            throw new InputException($"modules_to_save selects weights that are kept in {network.PackedWeights[packed[0]].Format}, which cannot be trained. " +
                "Leave these modules out (a low-rank pair may adapt them), or open the base with base_dtype float32:", packed);
        return network.Parameters.Keys.Where(parameter => names.Any(name => Selects(name, network.ModulePath(parameter))));
    }

    /// <summary>The tensors they have in an adapter's file.</summary>
    public static IReadOnlyList<AdapterTensor> Tensors(IReadOnlyCollection<string> names, INetwork network) =>
        [.. Parameters(names, network).Select(parameter => Tensor(parameter, network.Parameters[parameter], network))];

    /// <summary>Whether a name selects a module that holds the parameter.</summary>
    public static bool Selects(string name, string parameter)
    {
        for (int end = parameter.LastIndexOf('.'); end > 0; end = parameter.LastIndexOf('.', end - 1))
            if (parameter.AsSpan(0, end).EndsWith(name)) return true;
        return false;
    }

    /// <summary>The names for a new adapter: the given ones, those PEFT adds for the task, and each module of the head or
    /// with freshly drawn weights that none of them selects: left out, the adapter could not be used again.</summary>
    /// <exception cref="InputException">A given name selects nothing.</exception>
    public static IReadOnlyList<string>? ForNew(LoraConfig config, INetwork network)
    {
        List<string> names = [.. config.ModulesToSave ?? []];
        string[] paths = [.. network.Parameters.Keys.Concat(network.PackedWeights.Keys).Select(network.ModulePath)];
        string[] unknown = [.. names.Where(name => !paths.Any(path => Selects(name, path)))];
        if (unknown.Length > 0)
        {
            string[] modules = [.. paths.Select(path => path[..path.LastIndexOf('.')]).Distinct()];
            throw new InputException("modules_to_save: no module's path ends with these names. The model's modules end with " +
                $"{string.Join(", ", modules.Select(Matching.ModulePath.LastName).Distinct().Take(40))}:", unknown);
        }
        names.AddRange(TaskTypes.Heads(config.TaskType).Where(name => !names.Contains(name)));
        IEnumerable<string> needed = network.CreatedWeights;
        if (network is ISequenceNetwork { Head: { } head } && head.Kind != HeadKind.LanguageModel) needed = needed.Append(head.Output.Path + ".weight");
        foreach (string parameter in needed.Select(network.ModulePath).ToList())
            if (!names.Any(name => Selects(name, parameter))) names.Add(parameter[..parameter.LastIndexOf('.')]);
        return names.Count == 0 ? null : names;
    }

    private static AdapterTensor Tensor(string parameter, torch.Tensor weight, INetwork network)
    {
        string name = network.ModulePath(parameter), path = name[..name.LastIndexOf('.')];
        AdapterTensorPart part = name.EndsWith(".bias", StringComparison.Ordinal) ? AdapterTensorPart.Bias : AdapterTensorPart.Weight;
        return new AdapterTensor(PeftTensorKeys.Prefix + name, weight.shape, path, part);
    }
}
