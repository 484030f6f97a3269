using System.Buffers.Binary;

namespace LowRank.IO.Gguf;

/// <summary>Packs values into ggml's K types as llama-quantize does without an importance matrix.</summary>
/// <remarks>Source: ggml's <c>quantize_row_q4_K_ref</c>, <c>…_q5_K_ref</c> and <c>…_q6_K_ref</c>. The order and the
/// type of each operation are theirs: a sum in another order rounds otherwise.</remarks>
internal static class LargeBlockEncoders
{
    private const int Size = LargeBlocks.Size, Group = 32, Groups = Size / Group, Small = 16, Smalls = Size / Small;
    private const float Zero = 1e-15f; // a group whose largest magnitude is less is all zero

    public static void EncodeQ4(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        Span<byte> levels = stackalloc byte[Size];
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[144..])
        {
            Levels(values[..Size], blocks, levels, most: 15, first: -1, steps: 20);
            Pack(levels, blocks.Slice(16, Size / 2));
        }
    }

    public static void EncodeQ5(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        Span<byte> levels = stackalloc byte[Size];
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[176..])
        {
            Levels(values[..Size], blocks, levels, most: 31, first: -0.5f, steps: 15);
            Span<byte> fifth = blocks.Slice(16, Group);
            fifth.Clear();
            for (int i = 0; i < Size; i++)
            {
                fifth[i % Group] |= (byte)(levels[i] >> 4 << (i / Group));
                levels[i] &= 15;
            }
            Pack(levels, blocks.Slice(48, Size / 2));
        }
    }

    public static void EncodeQ6(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        Span<float> scales = stackalloc float[Smalls];
        Span<sbyte> levels = stackalloc sbyte[Size];
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[210..])
        {
            float largest = 0, extreme = 0;
            for (int group = 0; group < Smalls; group++)
            {
                scales[group] = SignedScale(
                    values.Slice(group * Small, Small), levels.Slice(group * Small, Small));
                if (Math.Abs(scales[group]) <= largest) continue;
                largest = Math.Abs(scales[group]);
                extreme = scales[group];
            }
            if (largest < Zero)
            {
                blocks[..210].Clear();
                continue;
            }
            float inverse = -128f / extreme;
            BinaryPrimitives.WriteHalfLittleEndian(blocks[208..], (Half)(1 / inverse));
            float whole = (float)BinaryPrimitives.ReadHalfLittleEndian(blocks[208..]);
            for (int group = 0; group < Smalls; group++)
            {
                sbyte packed = (sbyte)Math.Min(127, Nearest(inverse * scales[group]));
                blocks[192 + group] = (byte)packed;
                float scale = whole * packed;
                if (scale == 0) continue;
                for (int i = group * Small; i < (group + 1) * Small; i++)
                    levels[i] = (sbyte)(Math.Clamp(Nearest(values[i] / scale), -32, 31) + 32);
            }
            PackSix(levels, blocks);
        }
    }

    private static void PackSix(ReadOnlySpan<sbyte> levels, Span<byte> block)
    {
        for (int half = 0; half < 2; half++)
            for (int i = 0; i < 32; i++)
            {
                int at = half * 128 + i;
                int a = levels[at], b = levels[at + 32], c = levels[at + 64], d = levels[at + 96];
                block[half * 64 + i] = (byte)(a & 15 | (c & 15) << 4);
                block[half * 64 + 32 + i] = (byte)(b & 15 | (d & 15) << 4);
                block[128 + half * 32 + i] = (byte)(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6);
            }
    }

    private static void Pack(ReadOnlySpan<byte> levels, Span<byte> packed)
    {
        for (int i = 0; i < packed.Length; i++)
        {
            int at = i / Group * 2 * Group + i % Group;
            packed[i] = (byte)(levels[at] | levels[at + Group] << 4);
        }
    }

    // Writes scales and offsets of a block of 4 or 5 bits, and finds the level of each value.
    private static void Levels(
        ReadOnlySpan<float> values, Span<byte> block, Span<byte> levels, int most, float first, int steps)
    {
        Span<float> scales = stackalloc float[Groups], offsets = stackalloc float[Groups],
            weights = stackalloc float[Group];
        float largestScale = 0, largestOffset = 0;
        for (int group = 0; group < Groups; group++)
        {
            ReadOnlySpan<float> own = values.Slice(group * Group, Group);
            float squares = 0;
            for (int i = 0; i < Group; i++) squares += own[i] * own[i];
            float root = MathF.Sqrt(squares / Group);
            for (int i = 0; i < Group; i++) weights[i] = root + Math.Abs(own[i]);
            (scales[group], offsets[group]) =
                ScaleAndOffset(own, weights, levels.Slice(group * Group, Group), most, first, steps);
            if (scales[group] > largestScale) largestScale = scales[group];
            if (offsets[group] > largestOffset) largestOffset = offsets[group];
        }
        WriteGroups(block, scales, offsets, largestScale, largestOffset);
        for (int group = 0; group < Groups; group++)
        {
            (float scale, float offset) = LargeBlocks.Group(block, group);
            if (scale == 0) continue;
            for (int i = group * Group; i < (group + 1) * Group; i++)
                levels[i] = (byte)Math.Clamp(Nearest((values[i] + offset) / scale), 0, most);
        }
    }

    private static void WriteGroups(
        Span<byte> block, ReadOnlySpan<float> scales, ReadOnlySpan<float> offsets, float largestScale,
        float largestOffset)
    {
        float toScale = largestScale > 0 ? 63f / largestScale : 0,
            toOffset = largestOffset > 0 ? 63f / largestOffset : 0;
        Span<byte> packed = block.Slice(4, 12);
        packed.Clear();
        for (int group = 0; group < Groups; group++)
        {
            int scale = Math.Min((byte)63, (byte)Nearest(toScale * scales[group])),
                offset = Math.Min((byte)63, (byte)Nearest(toOffset * offsets[group]));
            if (group < 4)
            {
                packed[group] = (byte)scale;
                packed[group + 4] = (byte)offset;
                continue;
            }
            packed[group + 4] = (byte)(scale & 15 | (offset & 15) << 4);
            packed[group - 4] |= (byte)(scale >> 4 << 6);
            packed[group] |= (byte)(offset >> 4 << 6);
        }
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(largestScale / 63f));
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)(largestOffset / 63f));
    }

    // ggml's make_qkx2_quants: tries scales around the obvious one, solves for the best scale and offset of each, and
    // keeps the one with the least weighted squared error. The offset is returned as it is subtracted.
    private static (float Scale, float Offset) ScaleAndOffset(
        ReadOnlySpan<float> values, ReadOnlySpan<float> weights, Span<byte> levels, int most, float first, int steps)
    {
        float least = values[0], greatest = values[0], weightSum = weights[0], valueSum = weightSum * values[0];
        for (int i = 1; i < Group; i++)
        {
            if (values[i] < least) least = values[i];
            if (values[i] > greatest) greatest = values[i];
            weightSum += weights[i];
            valueSum += weights[i] * values[i];
        }
        if (least > 0) least = 0;
        levels.Clear();
        if (greatest == least) return (0, -least);
        float inverse = most / (greatest - least), scale = 1 / inverse, best = 0;
        for (int i = 0; i < Group; i++)
        {
            levels[i] = (byte)Math.Clamp(Nearest(inverse * (values[i] - least)), 0, most);
            float difference = scale * levels[i] + least - values[i];
            best += weights[i] * (difference * difference);
        }
        Span<byte> tried = stackalloc byte[Group];
        for (int step = 0; step <= steps; step++)
        {
            inverse = (first + 0.1f * step + most) / (greatest - least);
            (float triedScale, float triedLeast)? fit =
                Fit(values, weights, tried, inverse, least, most, weightSum, valueSum);
            if (fit is not { } found) continue;
            float error = 0;
            for (int i = 0; i < Group; i++)
            {
                float difference = found.triedScale * tried[i] + found.triedLeast - values[i];
                error += weights[i] * (difference * difference);
            }
            if (error >= best) continue;
            tried.CopyTo(levels);
            (best, scale, least) = (error, found.triedScale, found.triedLeast);
        }
        return (scale, -least);
    }

    private static (float Scale, float Least)? Fit(
        ReadOnlySpan<float> values, ReadOnlySpan<float> weights, Span<byte> levels, float inverse, float least,
        int most, float weightSum, float valueSum)
    {
        float sum = 0, squares = 0, products = 0;
        for (int i = 0; i < Group; i++)
        {
            int level = Math.Clamp(Nearest(inverse * (values[i] - least)), 0, most);
            levels[i] = (byte)level;
            float weight = weights[i];
            sum += weight * level;
            squares += weight * level * level;
            products += weight * level * values[i];
        }
        float determinant = weightSum * squares - sum * sum;
        if (!(determinant > 0)) return null;
        float scale = (weightSum * products - valueSum * sum) / determinant,
            offset = (squares * valueSum - sum * products) / determinant;
        return offset > 0 ? (products / squares, 0) : (scale, offset);
    }

    // ggml's make_qx_quants with weights x²: a signed scale for levels of -32 to 31.
    private static float SignedScale(ReadOnlySpan<float> values, Span<sbyte> levels)
    {
        const int Half = 32;
        float largest = 0, extreme = 0;
        for (int i = 0; i < Small; i++)
        {
            if (Math.Abs(values[i]) <= largest) continue;
            largest = Math.Abs(values[i]);
            extreme = values[i];
        }
        levels.Clear();
        if (largest < Zero) return 0;
        float inverse = -Half / extreme;
        (float products, float squares) = Sums(values, inverse);
        SetLevels(values, inverse, levels);
        float scale = squares != 0 ? products / squares : 0, best = scale * products;
        for (int step = -9; step <= 9; step++)
        {
            if (step == 0) continue;
            inverse = -(Half + 0.1f * step) / extreme;
            (products, squares) = Sums(values, inverse);
            if (!(squares > 0) || !(products * products > best * squares)) continue;
            SetLevels(values, inverse, levels);
            scale = products / squares;
            best = scale * products;
        }
        return scale;
    }

    private static (float Products, float Squares) Sums(ReadOnlySpan<float> values, float inverse)
    {
        float products = 0, squares = 0;
        for (int i = 0; i < Small; i++)
        {
            int level = Math.Clamp(Nearest(inverse * values[i]), -32, 31);
            float weight = values[i] * values[i];
            products += weight * values[i] * level;
            squares += weight * level * level;
        }
        return (products, squares);
    }

    private static void SetLevels(ReadOnlySpan<float> values, float inverse, Span<sbyte> levels)
    {
        for (int i = 0; i < Small; i++)
            levels[i] = (sbyte)(Math.Clamp(Nearest(inverse * values[i]), -32, 31) + 32);
    }

    // To the nearest whole number, to even where two are as near, for magnitudes up to 2^22.
    private static int Nearest(float value) =>
        (BitConverter.SingleToInt32Bits(value + 12582912f) & 0x007fffff) - 0x00400000;
}
