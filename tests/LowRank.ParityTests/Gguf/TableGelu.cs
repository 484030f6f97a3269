using System.Collections;
using System.Reflection;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>Gelu as llama.cpp computes it on processors: its tanh approximation, for each number of 16 bits from a
/// table of such numbers. With it in place of the library's own gelu, nothing else differs.</summary>
internal sealed class TableGelu : IActivationKernel
{
    private const float Edge = 10; // beyond it, 0 and x themselves

    private static readonly float[] Table = [.. Enumerable.Range(0, 1 << 16).Select(bits =>
    {
        float x = (float)BitConverter.UInt16BitsToHalf((ushort)bits);
        return (float)(Half)(0.5f * x * (1 + MathF.Tanh(0.79788456f * x * (1 + 0.044715f * x * x))));
    })];

    private static readonly ActivationFunction Function = new(Of, new TableGelu());

    /// <summary>Puts it into a model's layers until the result is disposed of.</summary>
    public static IDisposable In(INetwork network)
    {
        var found = new List<(object Owner, FieldInfo Field, object Before)>();
        Find(network, found, new HashSet<object>(ReferenceEqualityComparer.Instance));
        Assert.NotEmpty(found);
        foreach ((object owner, FieldInfo field, _) in found) field.SetValue(owner, Function);
        return new Replaced(found);
    }

    public Tensor Value(Tensor input) => Of(input);

    public Tensor Gated(Tensor gate, Tensor up) => Of(gate) * up;

    public Tensor Back(Tensor input, Tensor gradient) => throw new NotSupportedException();

    public void GatedBack(Tensor gate, Tensor up, Tensor gradient, Tensor ofGate, Tensor ofUp) =>
        throw new NotSupportedException();

    private static Tensor Of(Tensor input) =>
        tensor(input.contiguous().data<float>().ToArray().Select(x => x <= -Edge ? 0 : x >= Edge ? x
            : Table[BitConverter.HalfToUInt16Bits((Half)x)]).ToArray()).view(input.shape);

    private static void Find(
        object owner, List<(object Owner, FieldInfo Field, object Before)> found, HashSet<object> seen)
    {
        if (!seen.Add(owner)) return;
        foreach (FieldInfo field in owner.GetType().GetFields(BindingFlags.Instance | BindingFlags.NonPublic))
        {
            object? value = field.GetValue(owner);
            if (value is ActivationFunction) found.Add((owner, field, value));
            else if (value is IEnumerable several and not string)
                foreach (object part in several.OfType<object>().Where(IsLayer)) Find(part, found, seen);
            else if (value is not null && IsLayer(value)) Find(value, found, seen);
        }
    }

    private static bool IsLayer(object value) =>
        value.GetType() is { IsClass: true, Namespace: "LowRank.Models.Layers" } type && type != typeof(object);

    private sealed class Replaced(List<(object Owner, FieldInfo Field, object Before)> found) : IDisposable
    {
        public void Dispose()
        {
            foreach ((object owner, FieldInfo field, object before) in found) field.SetValue(owner, before);
        }
    }
}
