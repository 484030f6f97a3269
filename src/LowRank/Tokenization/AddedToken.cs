namespace LowRank.Tokenization;

/// <summary>A token that is found in the text itself, before the model sees it.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">Whether decoding may leave it out.</param>
/// <param name="StripsLeft">Whether it takes the white space before it.</param>
/// <param name="StripsRight">Whether it takes the white space behind it.</param>
/// <param name="IsSingleWord">Whether it must stand apart from letters and digits.</param>
/// <param name="IsNormalized">Whether it is looked for in the normalised text.</param>
internal sealed record AddedToken(string Content, int Id, bool IsSpecial, bool StripsLeft, bool StripsRight, bool IsSingleWord, bool IsNormalized)
{
    /// <summary>Reads an entry of added_tokens.</summary>
    public static AddedToken Read(ComponentJson json)
    {
        bool special = json.Flag("special", false);
        return new AddedToken(json.Text("content"), json.Number("id"), special, json.Flag("lstrip", false), json.Flag("rstrip", false),
            json.Flag("single_word", false), json.Flag("normalized", !special));
    }
}
