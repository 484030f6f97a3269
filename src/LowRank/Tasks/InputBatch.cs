using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Pads texts on the right and moves them to the device.</summary>
internal static class InputBatch
{
    /// <summary>A batch of texts.</summary>
    /// <param name="texts">At least one.</param>
    /// <param name="padding">The id of padding, which the mask hides.</param>
    /// <param name="device">Where to.</param>
    public static ModelInput Create(IReadOnlyList<TextInput> texts, int padding, Device device)
    {
        int length = texts.Max(text => text.Length);
        long[] Rows(Func<TextInput, int, int> value, int otherwise)
        {
            var rows = new long[texts.Count * length];
            for (int row = 0; row < texts.Count; row++)
                for (int i = 0; i < length; i++)
                    rows[row * length + i] = i < texts[row].Length ? value(texts[row], i) : otherwise;
            return rows;
        }
        Tensor OnDevice(long[] rows) => tensor(rows, dtype: ScalarType.Int64, device: device).view(-1, length);
        long[] mask = Rows((text, i) => text.Mask?[i] ?? 1, 0);
        return new ModelInput(OnDevice(Rows((text, i) => text.Ids[i], padding)), mask.Contains(0) ? OnDevice(mask) : null,
            texts.Any(text => text.Types is not null) ? OnDevice(Rows((text, i) => text.Types?[i] ?? 0, 0)) : null);
    }

    /// <summary>Labels of tokens, [batch · sequence], -100 on padding.</summary>
    public static long[] Labels(IReadOnlyList<int[]> rows)
    {
        int length = rows.Max(row => row.Length);
        return [.. rows.SelectMany(row => Enumerable.Range(0, length).Select(i => i < row.Length ? (long)row[i] : Data.TokenizedExample.Ignored))];
    }

    /// <summary>The id of padding that a model's positions are counted by, else the config's, else 0.</summary>
    public static int Padding(PretrainedModel model) => model.Network is Encoder { Shape.PositionPadding: { } padding }
        ? padding : (int)Math.Max(0, model.Config.NumberOr("pad_token_id", 0));
}
