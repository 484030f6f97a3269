using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>
/// Hands the layers of a model their weights by name while it is built, and reports every missing, mis-shaped and
/// unexpected tensor at once in <see cref="Finish"/>.
/// </summary>
/// <remarks>float32 weights stay mapped from the file without a copy; half-precision ones are widened to float32,
/// since processors without native half arithmetic multiply them two hundred times slower.</remarks>
public sealed class WeightLoader
{
    private readonly IWeightSource source;
    private readonly Device device;
    private readonly bool ownMemory;
    private readonly Func<string, string> sourceName;
    private readonly List<string> problems = [];
    private readonly HashSet<string> taken = [];
    private readonly Dictionary<string, Tensor> parameters = [];

    /// <summary>Starts loading.</summary>
    /// <param name="source">Where the weights come from.</param>
    /// <param name="device">Where they go.</param>
    /// <param name="ownMemory">True copies each weight, so that training may change it in place.</param>
    /// <param name="basePrefix">The prefix of the transformer inside the causal model, such as <c>model.</c>: a
    /// checkpoint of the bare transformer has its names without it.</param>
    public WeightLoader(IWeightSource source, Device device, bool ownMemory, string basePrefix)
    {
        this.source = source;
        this.device = device;
        this.ownMemory = ownMemory;
        bool bare = source.Names is { } names && !names.Any(name => name.StartsWith(basePrefix, StringComparison.Ordinal));
        sourceName = name => bare && name.StartsWith(basePrefix, StringComparison.Ordinal) ? name[basePrefix.Length..] : name;
    }

    /// <summary>Every weight handed out so far, by its full name, in the order of the model.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <summary>The name under which the source stores a weight.</summary>
    public string StoredName(string name) => sourceName(name);

    /// <summary>The weight of a name, as float32 on the device.</summary>
    /// <remarks>Where it is missing or mis-shaped the problem is noted and a tensor without data stands in, so that the
    /// rest can be checked too.</remarks>
    public Tensor Take(string name, params long[] shape)
    {
        string stored = sourceName(name);
        taken.Add(stored);
        long[]? found = source.ShapeOf(stored, shape);
        if (found is null)
        {
            problems.Add($"missing: {stored} {Text(shape)}");
            return empty(shape, device: META);
        }
        if (!found.SequenceEqual(shape))
        {
            problems.Add($"wrong shape: {stored} is {Text(found)}, expected {Text(shape)}");
            return empty(shape, device: META);
        }
        Tensor weight = Prepare(source.Read(stored, shape));
        parameters.Add(name, weight);
        return weight;
    }

    /// <summary>Ends loading.</summary>
    /// <param name="ignorable">Says which leftover names are known to carry nothing, such as saved attention masks.</param>
    /// <exception cref="InputException">Any tensor is missing, mis-shaped or unexpected: all of them are listed.</exception>
    public void Finish(Func<string, bool> ignorable)
    {
        foreach (string name in (source.Names ?? []).Where(name => !taken.Contains(name) && !ignorable(name)).Order(StringComparer.Ordinal))
            problems.Add($"unexpected: {name} {Text(source.ShapeOf(name, []) ?? [])}");
        if (problems.Count == 0) return;
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        throw new InputException($"{source.Description}: {problems.Count} tensors do not fit the model that config.json describes. " +
            "Check that config.json belongs to these weights:", problems);
    }

    private Tensor Prepare(Tensor stored)
    {
        Tensor weight = stored;
        if (stored.dtype != ScalarType.Float32 || stored.device_type != device.type) weight = stored.to(ScalarType.Float32).to(device);
        else if (ownMemory) weight = stored.clone();
        if (!ReferenceEquals(weight, stored)) stored.Dispose();
        return weight.DetachFromDisposeScope();
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
