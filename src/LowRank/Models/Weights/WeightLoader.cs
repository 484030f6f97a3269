using LowRank.Kernels;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Hands weights to a model's layers by name while the model is built. <see cref="Finish"/> reports all
/// missing, wrongly shaped and unexpected tensors together.</summary>
/// <remarks>float32 weights stay mapped from the file without a copy. Half-precision ones are widened to float32,
/// because processors without native half arithmetic multiply them two hundred times slower.</remarks>
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
    // a config that needs more belongs to another model, and reading on costs time and memory
    private const int MostProblems = 20_000;
    private const int Shown = 3;

    private readonly List<(string Kind, string What, Setting? Remedy)> problems = [];
    private readonly HashSet<string> taken = [];
    private readonly HashSet<string> duplicates = [];
    private readonly Dictionary<string, string[]> sharedNames = [];
    private readonly Dictionary<string, Tensor> parameters = [];
    private readonly Dictionary<string, PackedWeight> packed = [];
    private readonly List<PackedWeight> copies = []; // of tables; their layers dispose of them
    private readonly ExpansionBuffer buffer; // belongs to the packed weights, which free it

    /// <summary>Starts loading.</summary>
    /// <param name="source">The source of the weights.</param>
    /// <param name="device">The device to move them to.</param>
    /// <param name="ownMemory">True copies each weight so that training can change it in place.</param>
    /// <param name="basePrefix">The prefix of the transformer inside the causal model, such as <c>model.</c>: a
    /// checkpoint of the bare transformer omits it from names.</param>
    /// <param name="seed">The seed for weights that the source lacks.</param>
    /// <param name="renewal">Whether the source's head is initialised anew.</param>
    internal WeightLoader(IWeightSource source, Device device, bool ownMemory, string basePrefix, long seed = 42,
        HeadRenewal renewal = HeadRenewal.Never)
    {
        this.renewal = renewal;
        (this.basePrefix, this.seed, buffer) = (basePrefix, seed, ExpansionBuffer.ForModel(source.Compute));
        this.source = source;
        this.device = device;
        this.ownMemory = ownMemory;
        bare = source.Names is { } names && !names.Any(name => name.StartsWith(basePrefix, StringComparison.Ordinal));
    }

    /// <summary>Every weight handed out so far, by its full name, in model order.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <summary>The packed weights, by their full name; they are not in <see cref="Parameters"/>.</summary>
    public IReadOnlyDictionary<string, PackedWeight> PackedWeights => packed;

    /// <summary>Names of the weights that were initialised because the source lacks them.</summary>
    public IReadOnlyCollection<string> Created => created;

    /// <summary>Names of stored weights that equal the weight that they share, so they need not be written
    /// again.</summary>
    public IReadOnlyCollection<string> Duplicates => duplicates;

    /// <summary>Declares weights that share one weight, so that a source may store it under any of their
    /// names.</summary>
    /// <param name="name">The shared weight.</param>
    /// <param name="others">The other names; the first one that the source has is used.</param>
    public void DeclareShared(string name, params string[] others) => sharedNames[name] = others;

    /// <summary>Whether a weight that the config allows to be shared is shared: the source has no values for it, or the
    /// same values.</summary>
    /// <remarks>As in transformers 5.12 (<c>tie_weights</c>): if both exist and differ, the file overrides the
    /// config.</remarks>
    /// <param name="name">The weight.</param>
    /// <param name="other">The weight that it may share.</param>
    public bool IsShared(string name, string other)
    {
        if (source.Names is null) return true;
        string own = StoredName(name), shared = StoredName(other);
        if (own == shared || source.ShapeOf(own, []) is not { } shape) return true;
        if (source.ShapeOf(shared, []) is not { } known || !known.SequenceEqual(shape)
            || source.Quantized(own) is not null || source.Quantized(shared) is not null)
            return false;
        using var scope = NewDisposeScope();
        if (!AreEqual(source.Read(own, shape), source.Read(shared, shape))) return false;
        source.Release(own);
        if (source.KeepsStored) source.Release(shared);
        taken.Add(own);
        duplicates.Add(own);
        return true;
    }

    /// <summary>Whether two weights of one shape have the same values, compared some rows at a time.</summary>
    internal static bool AreEqual(Tensor first, Tensor second)
    {
        const long Rows = 4096;
        for (long row = 0; row < first.shape[0]; row += Rows)
        {
            using var scope = NewDisposeScope();
            long count = Math.Min(Rows, first.shape[0] - row);
            if (!first.narrow(0, row, count).to(ScalarType.Float32)
                .eq(second.narrow(0, row, count).to(ScalarType.Float32)).all().item<bool>()) return false;
        }
        return true;
    }

    /// <summary>The name under which the source stores a weight: without the base's prefix in a bare checkpoint, with
    /// TensorFlow's names for a norm's weight and bias (gamma, beta) in old ones, or under the name of the weight that
    /// it shares.</summary>
    public string StoredName(string name)
    {
        string stored = OwnName(name);
        if (source.Names is null || !sharedNames.TryGetValue(name, out string[]? others)
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

    /// <summary>Whether the source has a weight with this name.</summary>
    public bool Has(string name) => source.Names is null || source.ShapeOf(StoredName(name), []) is not null;

    /// <summary>The weight with a name. If the source lacks it: zeros for a bias, ones for a norm's weight, otherwise
    /// normal with standard deviation <paramref name="range"/>.</summary>
    /// <remarks>Each name has its own random draw, so it does not depend on which other weights are missing.</remarks>
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
                    "for another number of labels", KnownSettings.NewHead.To("true"));
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

    /// <summary>The weight with a name, as float32 on the device.</summary>
    /// <remarks>If it is missing or has the wrong shape, the problem is recorded and a tensor without data takes its
    /// place, so that the rest can be checked too.</remarks>
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

    /// <summary>The weight of a linear layer: packed if the source stores it packed or its
    /// <see cref="IWeightSource.Format"/> requests it, otherwise as in <see cref="Take"/>.</summary>
    /// <param name="name">The weight's name.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="isTransposed">Whether it is stored as [in, out]; a packed weight is [out, in] regardless.</param>
    /// <param name="isPackable">False keeps the weight in float32 unless the source stores it packed.</param>
    public (Tensor? Plain, PackedWeight? Packed) TakeMatrix(
        string name, int inputs, int outputs, bool isTransposed, bool isPackable) =>
        TakeMatrix(name, inputs, outputs, isTransposed, isPackable ? source.Format : null,
            isPackable ? Rounding : null);

    /// <summary>The weight of an output head, [out, in], packed as the source asks.</summary>
    internal (Tensor? Plain, PackedWeight? Packed) TakeHead(string name, int inputs, int outputs) =>
        TakeMatrix(name, inputs, outputs, isTransposed: false, source.HeadFormat, Rounding);

    /// <summary>A packed copy of an embedding's table for the head that shares it; null if the head is to multiply
    /// with the table itself. The layer disposes of it.</summary>
    /// <param name="table">The table, [rows, width], which stays for lookups.</param>
    /// <param name="name">Its name.</param>
    internal PackedWeight? PackShared(Tensor table, string name)
    {
        if ((source.HeadFormat ?? Rounding) is not { } format || table.device_type == DeviceType.META) return null;
        PackedWeight copy = format.Pack(table, buffer);
        if (device.type != DeviceType.CPU) copy = copy.MoveTo(device);
        (copy.Table, copy.IsWorkingCopy) = (table, source.HeadFormat is null);
        copies.Add(copy);
        source.Release(StoredName(name)); // lookups read few of its pages
        return copy;
    }

    // How weights are kept for products when nothing else asks for a format.
    private IWeightFormat? Rounding =>
        buffer.Compute == ComputeType.Float32 ? null : WeightFormats.Get(BFloat16Format.FormatName);

    private (Tensor? Plain, PackedWeight? Packed) TakeMatrix(
        string name, int inputs, int outputs, bool isTransposed, IWeightFormat? asked, IWeightFormat? rounding)
    {
        long[] shape = isTransposed ? [inputs, outputs] : [outputs, inputs];
        string stored = StoredName(name);
        StoredMatrix? quantized = source.Quantized(stored);
        IWeightFormat? target = asked ?? rounding;
        if (quantized is null && target is null) return (Take(name, shape), null);
        if (quantized is null)
        {
            // records the problem
            if (source.ShapeOf(stored, shape) is not { } found || !found.SequenceEqual(shape))
                return (Take(name, shape), null);
            taken.Add(stored);
            PackedWeight made = Made(target!, outputs, inputs, () =>
            {
                using var scope = NewDisposeScope();
                Tensor plain = source.Read(stored, shape);
                PackedWeight packed = target!.Pack(isTransposed ? plain.t() : plain, buffer);
                source.Release(stored);
                return packed;
            });
            made.IsWorkingCopy = asked is null;
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
        if (!source.Expands && (source.Format is null || source.Format.Name == quantized.Format))
            return (null, Add(name, quantized.Open(buffer)));
        if (target is not null)
        {
            PackedWeight again = Made(target, outputs, inputs, () =>
            {
                using var scope = NewDisposeScope();
                using PackedWeight weight = quantized.Open(buffer);
                return target.Pack(weight.Expand(), buffer);
            });
            again.IsWorkingCopy = asked is null;
            return (null, Add(name, again));
        }
        using (NewDisposeScope())
        using (PackedWeight weight = quantized.Open(buffer))
        {
            Tensor wide = weight.Expand();
            Tensor kept = (isTransposed ? wide.t().contiguous() : wide).to(device).DetachFromDisposeScope();
            parameters.Add(name, kept);
            return (kept, null);
        }
    }

    /// <summary>Finishes loading.</summary>
    /// <param name="ignorable">Says which unused tensors are irrelevant, such as saved attention masks.</param>
    /// <exception cref="InputException">A tensor is missing, has the wrong shape or is unexpected; the message lists
    /// all of them.</exception>
    public void Finish(Func<string, bool> ignorable)
    {
        foreach (string name in (source.Names ?? []).Where(name => !taken.Contains(name) && !ignorable(name))
            .Order(StringComparer.Ordinal))
            problems.Add(("unexpected", $"{name} {Text(source.ShapeOf(name, []) ?? [])}", null));
        if (problems.Count > 0) throw Misfit();
    }

    private void Note(string kind, string what, Setting? remedy = null)
    {
        problems.Add((kind, what, remedy));
        if (problems.Count == MostProblems) throw Misfit();
    }

    private InputException Misfit()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        foreach (PackedWeight weight in packed.Values.Concat(copies)) weight.Dispose();
        string atLeast = problems.Count == MostProblems ? "at least " : "";
        return new InputException(
            $"{source.Description}: {atLeast}{problems.Count} tensors do not fit the model that config.json " +
            "describes. " +
            "Check that config.json belongs to these weights:",
                [.. problems.GroupBy(problem => problem.Kind, problem => (problem.What, problem.Remedy))
                    .SelectMany(Lines)]);
    }

    // One wrong setting causes hundreds of problems; the first ones are enough.
    private static IEnumerable<Problem> Lines(IGrouping<string, (string What, Setting? Remedy)> kind)
    {
        (string What, Setting? Remedy)[] all = [.. kind];
        if (all.Length <= Shown)
            return all.Select(one => new Problem($"{kind.Key}: {one.What}") { Remedy = one.Remedy });
        string some = string.Join("; ", all.Take(Shown).Select(one => one.What));
        return [new Problem($"{kind.Key}: {all.Length} tensors, such as {some}")
            { Remedy = all.Select(one => one.Remedy).FirstOrDefault(remedy => remedy is not null) }];
    }

    private PackedWeight Add(string name, PackedWeight weight)
    {
        PackedWeight placed = device.type == DeviceType.CPU ? weight : weight.MoveTo(device);
        packed.Add(name, placed);
        return placed;
    }

    private PackedWeight Made(IWeightFormat format, long outputs, long inputs, Func<PackedWeight> make) =>
        source.KeepsStored ? PackedWeight.MadeWhenRead(format.Name, outputs, inputs, make, buffer) : make();

    private Tensor Prepare(Tensor stored)
    {
        Tensor weight = stored;
        if (source.KeepsStored) return stored.DetachFromDisposeScope();
        if (stored.dtype != ScalarType.Float32 || stored.device_type != device.type)
            weight = stored.to(ScalarType.Float32).to(device);
        else if (ownMemory) weight = stored.clone();
        if (!ReferenceEquals(weight, stored)) stored.Dispose();
        return weight.DetachFromDisposeScope();
    }

    // FNV-1a, because string.GetHashCode differs between runs.
    private static ulong StableHash(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        return hash >> 2;
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}

/// <summary>Whether the checkpoint's head is initialised anew.</summary>
internal enum HeadRenewal
{
    /// <summary>The head is loaded; another shape is an error.</summary>
    Never,

    /// <summary>Weights with another shape, such as for another number of labels, are initialised; the others are
    /// loaded.</summary>
    WhereOther,

    /// <summary>All weights are initialised.</summary>
    Always,
}
