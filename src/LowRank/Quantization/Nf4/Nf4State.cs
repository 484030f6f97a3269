using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>What bitsandbytes keeps beside the tensors of an NF4 weight, as JSON in a tensor of bytes.</summary>
/// <param name="BlockSize">Values that share a scale.</param>
/// <param name="Original">The dtype before, such as bfloat16.</param>
/// <param name="Shape">The matrix's shape, [out, in].</param>
/// <param name="NestedBlockSize">Scales that share a scale; null where they are plain.</param>
/// <param name="NestedOffset">What is added to the scales; null where they are plain.</param>
internal sealed record Nf4State(int BlockSize, string Original, long[] Shape, int? NestedBlockSize, double? NestedOffset)
{
    /// <summary>What follows the weight's name.</summary>
    public const string Key = ".quant_state.bitsandbytes__nf4";

    /// <summary>Reads the JSON.</summary>
    /// <param name="bytes">uint8.</param>
    /// <param name="problem">What is wrong with it; null where nothing is.</param>
    public static unsafe Nf4State? Read(Tensor bytes, out string? problem)
    {
        try
        {
            string text = Encoding.UTF8.GetString((byte*)NativeTensor.Address(bytes), checked((int)bytes.numel()));
            JsonObject root = JsonNode.Parse(text)!.AsObject();
            var state = new Nf4State(root["blocksize"]!.GetValue<int>(), root["dtype"]!.GetValue<string>(), [.. root["shape"]!.AsArray().Select(size => size!.GetValue<long>())],
                root["nested_blocksize"]?.GetValue<int>(), root["nested_offset"]?.GetValue<double>());
            string type = root["quant_type"]?.GetValue<string>() ?? "missing";
            problem = type == "nf4" ? state.Problem() : $"quant_type is {type}, expected nf4";
            return problem is null ? state : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NullReferenceException or FormatException or OverflowException)
        {
            problem = $"its bytes are not the JSON that bitsandbytes writes (quant_type, blocksize, dtype, shape, …): {e.Message}";
            return null;
        }
    }

    /// <summary>The JSON as Python's json.dumps writes it, as a tensor of bytes in the caller's dispose scope.</summary>
    public Tensor ToTensor()
    {
        var text = new StringBuilder($$"""{"quant_type": "nf4", "blocksize": {{BlockSize}}, "dtype": "{{Original}}", "shape": [{{string.Join(", ", Shape)}}]""");
        if (NestedBlockSize is { } nested)
            text.Append(CultureInfo.InvariantCulture, $", \"nested_blocksize\": {nested}, \"nested_dtype\": \"float32\", \"nested_offset\": {NestedOffset:R}");
        return tensor(Encoding.UTF8.GetBytes(text.Append('}').ToString()), ScalarType.Byte);
    }

    private string? Problem()
    {
        if (BlockSize is < 32 or > 4096 || (BlockSize & (BlockSize - 1)) != 0) return $"blocksize is {BlockSize}, expected a power of two from 32 to 4096";
        if (Shape is not [> 0, > 0]) return $"shape is [{string.Join(", ", Shape)}], expected [out, in]";
        if (NestedBlockSize is null != NestedOffset is null) return "nested_blocksize and nested_offset belong together, found one of them";
        if (NestedBlockSize is { } nested && (nested < 1 || (nested & (nested - 1)) != 0)) return $"nested_blocksize is {nested}, expected a power of two";
        return NestedOffset is { } offset && !float.IsFinite((float)offset) ? $"nested_offset is {offset}, expected a finite number" : null;
    }
}
