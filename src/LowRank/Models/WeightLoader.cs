using LowRank.Quantization;
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
    private readonly bool bare;
    private readonly string basePrefix;
    private readonly long seed;
    private readonly HeadRenewal renewal;
    private readonly List<string> created = [];
    // a config that asks for more is of another model, and reading on takes time and memory
    private const int MostProblems = 20_000;
    private const int Shown = 3;

    private readonly List<(string Kind, string What)> problems = [];
    private readonly HashSet<string> taken = [];
    private readonly HashSet<string> duplicates = [];
    private readonly Dictionary<string, string[]> standIns = [];
    private readonly Dictionary<string, Tensor> parameters = [];
    private readonly Dictionary<string, PackedWeight> packed = [];
    private readonly ExpansionBuffer buffer; // belongs to the packed weights, which free it

    /// <summary>Starts loading.</summary>
    /// <param name="source">Where the weights come from.</param>
    /// <param name="device">Where they go.</param>
    /// <param name="ownMemory">True copies each weight, so that training may change it in place.</param>
    /// <param name="basePrefix">The prefix of the transformer inside the causal model, such as <c>model.</c>: a
    /// checkpoint of the bare transformer has its names without it.</param>
    /// <param name="seed">Seed of weights that are drawn because the source has none.</param>
    /// <param name="renewal">Whether a head that the source has is drawn anew.</param>
    public WeightLoader(IWeightSource source, Device device, bool ownMemory, string basePrefix, long seed = 42,
        HeadRenewal renewal = HeadRenewal.Never)
    {
        this.renewal = renewal;
        (this.basePrefix, this.seed, buffer) = (basePrefix, seed, ExpansionBuffer.ForModel());
        this.source = source;
        this.device = device;
        this.ownMemory = ownMemory;
        bare = source.Names is { } names && !names.Any(name => name.StartsWith(basePrefix, StringComparison.Ordinal));
    }

    /// <summary>Every weight handed out so far, by its full name, in the order of the model.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <summary>Those that are kept packed, by their full name; they are no <see cref="Parameters"/>.</summary>
    public IReadOnlyDictionary<string, PackedWeight> PackedWeights => packed;

    /// <summary>Names of the weights that were drawn because the source has none.</summary>
    public IReadOnlyCollection<string> Created => created;

    /// <summary>Stored names of weights that equal the one they share: they need not be written again.</summary>
    public IReadOnlyCollection<string> Duplicates => duplicates;

    /// <summary>Says which weights share one, so that a source that has only another of them under its own name will
    /// do.</summary>
    /// <param name="name">The weight that they share.</param>
    /// <param name="others">The others, the first that the source has counts.</param>
    public void LetStandIn(string name, params string[] others) => standIns[name] = others;

    /// <summary>Whether a weight that the config lets share another's values does: the source has no values for it, or
    /// the same.</summary>
    /// <remarks>As transformers 5.12 (<c>tie_weights</c>): where both are there and differ, the file counts and not the
    /// config.</remarks>
    /// <param name="name">The weight.</param>
    /// <param name="other">The weight that it shares.</param>
    public bool IsShared(string name, string other)
    {
        if (source.Names is null) return true;
        string own = StoredName(name), shared = StoredName(other);
        if (own == shared || source.ShapeOf(own, []) is not { } shape) return true;
        if (source.ShapeOf(shared, []) is not { } known || !known.SequenceEqual(shape)
            || source.Quantized(own) is not null || source.Quantized(shared) is not null)
            return false;
        using var scope = NewDisposeScope();
        Tensor first = source.Read(own, shape), second = source.Read(shared, shape);
        if (!first.to(ScalarType.Float32).eq(second.to(ScalarType.Float32)).all().item<bool>()) return false;
        source.Release(own);
        taken.Add(own);
        duplicates.Add(own);
        return true;
    }

    /// <summary>The name under which the source stores a weight: without the base's prefix in a bare checkpoint, with
    /// TensorFlow's names of a norm's weight and bias (gamma, beta) in old ones, under another's name where it shares
    /// that weight.</summary>
    public string StoredName(string name)
    {
        string stored = OwnName(name);
        if (source.Names is null || !standIns.TryGetValue(name, out string[]? others)
            || source.ShapeOf(stored, []) is not null)
            return stored;
        return others.Select(OwnName).FirstOrDefault(other => source.ShapeOf(other, []) is not null) ?? stored;
    }

    private string OwnName(string name)
    {
        string stored = bare && name.StartsWith(basePrefix, StringComparison.Ordinal)
            ? name[basePrefix.Length..] : name;
        if (source.Names is null || source.ShapeOf(stored, []) is not null) return stored;
        string old = stored.EndsWith(".weight", StringComparison.Ordinal) ? stored[..^"weight".Length] + "gamma"
            : stored.EndsWith(".bias", StringComparison.Ordinal) ? stored[..^"bias".Length] + "beta" : stored;
        return source.ShapeOf(old, []) is null ? stored : old;
    }

    /// <summary>Whether the source has a weight of a name.</summary>
    public bool Has(string name) => source.Names is null || source.ShapeOf(StoredName(name), []) is not null;

    /// <summary>The weight of a name, or where the source has none a fresh one: zeros for a bias, ones for a norm's
    /// weight, else normal with standard deviation <paramref name="range"/>.</summary>
    /// <remarks>Each name has its own draw: which others are missing does not change it.</remarks>
    public Tensor TakeOrDraw(string name, double range, params long[] shape)
    {
        if (Has(name))
        {
            string stored = StoredName(name);
            bool isOther = !source.ShapeOf(stored, shape)!.SequenceEqual(shape),
                isHead = !name.StartsWith(basePrefix, StringComparison.Ordinal);
            bool isRenewed = isHead
                && (renewal == HeadRenewal.Always || (renewal == HeadRenewal.WhereOther && isOther));
            if (!isRenewed && isHead && isOther)
                Note("wrong shape",
                    $"{stored} is {Text(source.ShapeOf(stored, shape)!)}, expected {Text(shape)}: the head is one " +
                    "for another number of labels. In a recipe, task_options.new_head: true begins with a new one");
            if (!isRenewed && !(isHead && isOther)) return Take(name, shape);
            taken.Add(stored);
        }
        using var scope = NewDisposeScope();
        using var fresh = new RandomWeights(range, seed + (long)(StableHash(name) >> 1));
        created.Add(name);
        Tensor weight = fresh.Read(name, shape).to(device).DetachFromDisposeScope();
        parameters.Add(name, weight);
        return weight;
    }

    /// <summary>The weight of a name, as float32 on the device.</summary>
    /// <remarks>Where it is missing or mis-shaped the problem is noted and a tensor without data stands in, so that the
    /// rest can be checked too.</remarks>
    public Tensor Take(string name, params long[] shape)
    {
        string stored = StoredName(name);
        taken.Add(stored);
        long[]? found = source.ShapeOf(stored, shape);
        if (found is null)
        {
            Note("missing", $"{stored} {Text(shape)}");
            return empty(shape, device: META);
        }
        if (source.Quantized(stored) is { } quantized)
        {
            Note("quantised",
                $"{stored} is stored as {quantized.Format}, but it is no linear layer's weight here; expected " +
                $"float32, float16 or bfloat16 {Text(shape)}");
            return empty(shape, device: META);
        }
        if (!found.SequenceEqual(shape))
        {
            Note("wrong shape", $"{stored} is {Text(found)}, expected {Text(shape)}");
            return empty(shape, device: META);
        }
        Tensor weight = Prepare(source.Read(stored, shape));
        parameters.Add(name, weight);
        return weight;
    }

    /// <summary>The weight of a linear layer: packed where the source holds it so or its
    /// <see cref="IWeightSource.Format"/> asks for it, else as <see cref="Take"/> gives it.</summary>
    /// <param name="name">The weight's name.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="isTransposed">Whether it is stored [in, out]; a packed one is [out, in] all the same.</param>
    /// <param name="isPackable">False keeps a weight in float32 that the source does not hold packed.</param>
    public (Tensor? Plain, PackedWeight? Packed) TakeMatrix(
        string name, int inputs, int outputs, bool isTransposed, bool isPackable)
    {
        long[] shape = isTransposed ? [inputs, outputs] : [outputs, inputs];
        string stored = StoredName(name);
        StoredMatrix? quantized = source.Quantized(stored);
        if (quantized is null && (source.Format is null || !isPackable)) return (Take(name, shape), null);
        if (quantized is null)
        {
            // notes the problem
            if (source.ShapeOf(stored, shape) is not { } found || !found.SequenceEqual(shape))
                return (Take(name, shape), null);
            taken.Add(stored);
            using var scope = NewDisposeScope();
            Tensor plain = source.Read(stored, shape);
            PackedWeight made = source.Format!.Pack(isTransposed ? plain.t() : plain, buffer);
            source.Release(stored);
            return (null, Add(name, made));
        }
        taken.Add(stored);
        if (quantized.Rows != outputs || quantized.Columns != inputs)
        {
            Note("wrong shape",
                $"{stored} is {quantized.Format} {Text([quantized.Rows, quantized.Columns])}, expected " +
                $"{Text([outputs, inputs])}");
            return (empty(shape, device: META), null);
        }
        PackedWeight weight = quantized.Open(buffer);
        if (!source.Expands && (source.Format is null || source.Format.Name == quantized.Format))
            return (null, Add(name, weight));
        using (weight)
        {
            using var scope = NewDisposeScope();
            Tensor wide = weight.Expand();
            if (source.Format is { } format && isPackable) return (null, Add(name, format.Pack(wide, buffer)));
            Tensor kept = (isTransposed ? wide.t().contiguous() : wide).to(device).DetachFromDisposeScope();
            parameters.Add(name, kept);
            return (kept, null);
        }
    }

    /// <summary>Ends loading.</summary>
    /// <param name="ignorable">Says which leftover names are known to carry nothing, such as saved attention
    /// masks.</param>
    /// <exception cref="InputException">Any tensor is missing, mis-shaped or unexpected: all of them are
    /// listed.</exception>
    public void Finish(Func<string, bool> ignorable)
    {
        foreach (string name in (source.Names ?? []).Where(name => !taken.Contains(name) && !ignorable(name))
            .Order(StringComparer.Ordinal))
            problems.Add(("unexpected", $"{name} {Text(source.ShapeOf(name, []) ?? [])}"));
        if (problems.Count > 0) throw Misfit();
    }

    private void Note(string kind, string what)
    {
        problems.Add((kind, what));
        if (problems.Count == MostProblems) throw Misfit();
    }

    private InputException Misfit()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        foreach (PackedWeight weight in packed.Values) weight.Dispose();
        string atLeast = problems.Count == MostProblems ? "at least " : "";
        return new InputException(
            $"{source.Description}: {atLeast}{problems.Count} tensors do not fit the model that config.json " +
            "describes. " +
            "Check that config.json belongs to these weights:",
                [.. problems.GroupBy(problem => problem.Kind, problem => problem.What).SelectMany(Lines)]);
    }

    // One wrong setting makes hundreds: the first ones tell it.
    private static IEnumerable<string> Lines(IGrouping<string, string> kind)
    {
        string[] all = [.. kind];
        return all.Length <= Shown ? all.Select(what => $"{kind.Key}: {what}")
            : [$"{kind.Key}: {all.Length} tensors, such as {string.Join("; ", all.Take(Shown))}"];
    }

    private PackedWeight Add(string name, PackedWeight weight)
    {
        PackedWeight placed = device.type == DeviceType.CPU ? weight : weight.MoveTo(device);
        packed.Add(name, placed);
        return placed;
    }

    private Tensor Prepare(Tensor stored)
    {
        Tensor weight = stored;
        if (stored.dtype != ScalarType.Float32 || stored.device_type != device.type)
            weight = stored.to(ScalarType.Float32).to(device);
        else if (ownMemory) weight = stored.clone();
        if (!ReferenceEquals(weight, stored)) stored.Dispose();
        return weight.DetachFromDisposeScope();
    }

    // FNV-1a: string.GetHashCode differs from run to run.
    private static ulong StableHash(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        return hash >> 2;
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
