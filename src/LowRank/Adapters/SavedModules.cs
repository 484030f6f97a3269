using LowRank.Adapters.Files;
using LowRank.Models;
using TorchSharp;

namespace LowRank.Adapters;

/// <summary>Finds the weights of modules that are trained and saved whole (<c>modules_to_save</c>).</summary>
/// <remarks>As in PEFT (_set_trainable in peft/utils/other.py), a name selects every module whose path ends with its
/// characters ("classifier" also selects "pre_classifier"), including the modules inside it.</remarks>
internal static class SavedModules
{
    /// <summary>The names of the selected parameters in the model.</summary>
    /// <exception cref="InputException">The names select a packed weight, which cannot be trained.</exception>
    public static IEnumerable<string> Parameters(IReadOnlyCollection<string> names, INetwork network)
    {
        string[] packed =
            [.. network.PackedWeights.Keys.Where(
                parameter => names.Any(name => Selects(name, network.ModulePath(parameter))))];
        if (packed.Length > 0)
            throw new InputException(
                $"modules_to_save selects weights that are kept in {network.PackedWeights[packed[0]].Format}, " +
                "which cannot be trained. " +
                "Leave these modules out (a low-rank pair may adapt them), or open the base, and compute, in float32:",
                    packed);
        return network.Parameters.Keys.Where(
            parameter => names.Any(name => Selects(name, network.ModulePath(parameter))));
    }

    /// <summary>The tensors in an adapter's file for the modules that a config saves whole.</summary>
    public static IReadOnlyList<AdapterTensor> Tensors(AdapterConfig config, INetwork network)
    {
        IReadOnlyList<string> names = config.ModulesToSave ?? [];
        List<AdapterTensor> tensors =
            [.. Parameters(names, network)
            .Select(parameter => Tensor(parameter, network.Parameters[parameter], network))];
        if (network.OutputHead is not { SharesWeight: true } head) return tensors;
        string table = network.TokenEmbedding.Path + ".weight";
        bool selectsHead = HasHead(names, network),
            selectsTable = names.Any(name => Selects(name, network.ModulePath(table)));
        if (config.TiesWeights && selectsHead && !selectsTable)
            tensors.Insert(0, Tensor(table, head.Weight, network));
        if (config.TiesWeights && (selectsHead || selectsTable))
            tensors.Add(
                Tensor(head.Path + ".weight", head.Weight, network) with { Part = AdapterTensorPart.Duplicate,
                IsRequired = false });
        else if (selectsHead) tensors.Add(Tensor(head.Path + ".weight", head.Weight, network));
        if (selectsHead && head.Bias is { } bias && !network.Parameters.ContainsKey(head.Path + ".bias"))
        {
            // "decoder" selects the bias under the head's own name, "cls" under both names.
            bool isThere =
                tensors.Exists(
                    tensor => tensor.Key == PeftTensorKeys.Prefix
                    + network.ModulePath(AdaptableLayer.From(network)[network.ModulePath(head.Path)].BiasParameter!));
            AdapterTensor own = Tensor(head.Path + ".bias", bias, network);
            tensors.Add(isThere ? own with { Part = AdapterTensorPart.Duplicate, IsRequired = false } : own);
        }
        return tensors;
    }

    /// <summary>Whether names select the output head that shares the embedding's weight.</summary>
    private static bool HasHead(IReadOnlyCollection<string> names, INetwork network) =>
        network.OutputHead is { SharesWeight: true } head
            && names.Any(name => Selects(name, network.ModulePath(head.Path) + ".weight"));

    /// <summary>Whether a name selects a module that contains the parameter.</summary>
    public static bool Selects(string name, string parameter)
    {
        for (int end = parameter.LastIndexOf('.'); end > 0; end = parameter.LastIndexOf('.', end - 1))
            if (parameter.AsSpan(0, end).EndsWith(name)) return true;
        return false;
    }

    /// <summary>The names for a new adapter: the given ones, those that PEFT adds for the task, and each module of the
    /// head or with newly initialised weights that none of them selects; without these the adapter could not be used
    /// again.</summary>
    /// <exception cref="InputException">A given name selects nothing.</exception>
    public static IReadOnlyList<string>? ForNew(AdapterConfig config, INetwork network)
    {
        List<string> names = [.. config.ModulesToSave ?? []];
        string[] paths = [.. network.Parameters.Keys.Concat(network.PackedWeights.Keys).Select(network.ModulePath),
            .. network.OutputHead is { SharesWeight: true } head ? [network.ModulePath(head.Path) + ".weight"]
            : Array.Empty<string>()];
        string[] unknown = [.. names.Where(name => !paths.Any(path => Selects(name, path)))];
        if (unknown.Length > 0)
        {
            string[] modules = [.. paths.Select(path => path[..path.LastIndexOf('.')]).Distinct()];
            throw new InputException(
                "modules_to_save: no module's path ends with these names. The model's modules end with " +
                $"{string.Join(", ", modules.Select(Matching.ModulePath.LastName).Distinct().Take(40))}:", unknown);
        }
        names.AddRange(TaskTypes.Heads(config.TaskType).Where(name => !names.Contains(name)));
        IEnumerable<string> needed = network.CreatedWeights;
        if (network is ISequenceNetwork { Head: { } top } && top.Kind != HeadKind.LanguageModel)
            needed = needed.Append(top.Output.Path + ".weight");
        foreach (string parameter in needed.Select(network.ModulePath).ToList())
            if (!names.Any(name => Selects(name, parameter))) names.Add(parameter[..parameter.LastIndexOf('.')]);
        return names.Count == 0 ? null : names;
    }

    private static AdapterTensor Tensor(string parameter, torch.Tensor weight, INetwork network)
    {
        string name = network.ModulePath(parameter), path = name[..name.LastIndexOf('.')];
        AdapterTensorPart part = name.EndsWith(".bias", StringComparison.Ordinal) ? AdapterTensorPart.Bias
            : AdapterTensorPart.Weight;
        return new AdapterTensor(PeftTensorKeys.Prefix + name, weight.shape, path, part);
    }
}
