using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LowRank.IO.Gguf;

namespace LowRank.Tests.IO.Gguf;

/// <summary>Blocks as ggml packs and expands them (Reference/make_gguf_blocks.py).</summary>
public sealed class GgufBlockTests
{
    private const int Count = 1024;

    public static TheoryData<string> Readable =>
        [.. GgufType.All.Where(type => type is { IsPlain: false, Decode: not null }).Select(type => type.Name)];

    public static TheoryData<string> Writable =>
        [.. GgufType.All.Where(type => type is { IsPlain: false, Encode: not null }).Select(type => type.Name)];

    [Theory, MemberData(nameof(Readable))]
    public void Blocks_expand_to_ggmls_values_to_the_last_bit(string name)
    {
        (byte[] packed, float[] expected) = Case(name);
        float[] values = new float[Count];
        Named(name).Decode!(packed, values);
        Assert.Equal(expected, values);
    }

    [Theory, MemberData(nameof(Writable))]
    public void Values_are_packed_as_ggml_packs_them_byte_for_byte(string name)
    {
        GgufType type = Named(name);
        byte[] packed = new byte[type.Bytes(Count)];
        type.Encode!(Row(), packed);
        Assert.Equal(Case(name).Packed, packed);
    }

    [Fact]
    public void Values_one_by_one_round_to_the_nearest_and_to_even()
    {
        float[] values = [1f, -2.5f, 1f + 1f / 256, 1f + 3f / 256, 65504, 1e-8f, 1e30f];
        byte[] packed = new byte[14];
        float[] back = new float[7];
        GgufType.BF16.Encode!(values, packed);
        GgufType.BF16.Decode!(packed, back);
        Assert.Equal([1f, -2.5f, 1f, 1f + 4f / 256, 65536,
                BitConverter.UInt32BitsToSingle(0x322c0000),
                BitConverter.UInt32BitsToSingle(0x714a0000)],
            back);
        GgufType.F16.Encode!(values, packed);
        GgufType.F16.Decode!(packed, back);
        Assert.Equal([1f, -2.5f, 1f + 1f / 256, 1f + 3f / 256, 65504, 0, float.PositiveInfinity], back);
    }

    [Fact]
    public void Each_type_has_its_own_number_and_name()
    {
        Assert.Equal(GgufType.All.Count, GgufType.All.Select(type => type.Code).Distinct().Count());
        Assert.Equal(GgufType.All.Count, GgufType.All.Select(type => type.Name).Distinct().Count());
        Assert.Same(GgufType.Q4K, GgufType.Find(12));
        Assert.Null(GgufType.Find(4)); // once q4_2, no longer a type
        Assert.Equal(
            "f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K, bf16, mxfp4", GgufType.ReadableNames);
    }

    private static GgufType Named(string name) => GgufType.All.Single(type => type.Name == name);

    private static (byte[] Packed, float[] Values) Case(string name)
    {
        JsonNode made = JsonNode.Parse(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "gguf", "blocks.json")))![name]!;
        byte[] Bytes(string key) => Convert.FromBase64String(made[key]!.GetValue<string>());
        return (Bytes("packed"), [.. MemoryMarshal.Cast<byte, float>(Bytes("values"))]);
    }

    // As the script makes it.
    internal static float[] Row()
    {
        uint state = 1;
        float[] values = new float[Count];
        for (int i = 0; i < Count; i++)
        {
            double total = 0;
            for (int each = 0; each < 3; each++)
            {
                state = state * 1664525 + 1013904223;
                total += (state >> 8) / 16777216.0 - 0.5;
            }
            int group = i / 64;
            values[i] = (float)(group == 2 ? 0 : (group == 3 ? Math.Abs(total) : total) * Math.Pow(2, group % 5 - 6));
        }
        return values;
    }
}
