"""Chinese names: surnames as frequent as in the population, given names at random."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bank.stream import Choice, Integers, Rows, Streams

# Surname and bearers in a hundred thousand, rounded, of the commonest hundred or so.
_SURNAMES = """
王7250 李7190 张6830 刘5380 陈4530 杨3080 赵2290 黄2230 周2120 吴2050 徐1670 孙1540 胡1310
马1290 朱1260 高1210 林1180 何1170 郭1150 郑930 罗920 梁870 谢850 宋840 唐820 许800 韩790
邓770 冯760 曹740 彭720 曾700 肖690 田660 董640 于620 袁610 潘590 蒋570 蔡550 余540 杜530
叶520 程510 魏500 苏490 吕480 丁470 任460 沈450 姚440 卢430 姜420 崔410 钟400 谭390 陆380
汪370 范360 金360 石350 廖340 贾330 夏330 韦320 付320 方310 白300 邹300 孟290 熊280 秦280
邱270 江270 尹260 薛260 闫250 段250 雷240 侯240 龙230 史230 陶220 黎220 贺210 顾210 毛200
郝200 龚190 邵190 万180 钱180 严170 覃170 武160 戴160 莫150 孔150 向140 汤140 欧阳60 上官10
"""

# Characters common in given names, commonest first.
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀英华玉霞平刚桂文辉力健红建国春梅兰凤洁琳云莲"
    "真环雪荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞莉叶璧璐娅琦晶妍茜秋珊莎锦黛青倩婷姣婉娴瑾颖露"
    "瑶怡婵雁蓓仪荷丹蓉眉君琴蕊薇菁梦岚苑婕馨瑗琰韵融园艺咏卿聪澜纯毓悦昭冰爽琬茗羽希宁"
    "欣飘育滢馥筠柔竹霭凝晓欢霄枫芸菲寒伊亚宜可姬舒影荔枝思博文昊天浩宇然轩子涵梓睿泽晨"
    "俊峰志远海波鹏飞翔宏毅东旭彬斌武松柏林森山川江河清源"
)

_DIGITS = pa.array(list("〇一二三四五六七八九"))
_CANARY_WORD = "金丝雀"
_CANARY_DIGITS = 6


class Names:
    """Makes the columns of names of one bank."""

    def __init__(self, streams: Streams, one_character_share: float) -> None:
        surnames, weights = _surnames()
        given = sorted(set(_GIVEN), key=_GIVEN.index)
        self._streams = streams
        self._surnames = pa.array(surnames)
        self._given = pa.array([*given, ""])
        self._surname = Choice(weights)
        self._first = Choice(1.0 / (np.arange(len(given)) + 25))
        rest = (1 - one_character_share) / len(given)
        self._second = Choice([rest] * len(given) + [one_character_share])

    def column(self, entity: str, rows: Rows) -> pa.StringArray:
        """The names of a block of people, two to four characters each."""
        words = self._streams.words(f"{entity}.name", rows)
        return pc.binary_join_element_wise(
            self._surnames.take(pa.array(self._surname.pick(words, 0))),
            self._given.take(pa.array(self._first.pick(words, 1))),
            self._given.take(pa.array(self._second.pick(words, 2))),
            "",
        )


def canary_names(numbers: Integers) -> pa.StringArray:
    """Names that nobody bears and no two share: 金丝雀 and the canary's number in six digits."""
    parts = [
        _DIGITS.take(pa.array(numbers // 10**place % 10))
        for place in reversed(range(_CANARY_DIGITS))
    ]
    return pc.binary_join_element_wise(_CANARY_WORD, *parts, "")


def _surnames() -> tuple[list[str], list[int]]:
    entries = _SURNAMES.split()
    names = [entry.rstrip("0123456789") for entry in entries]
    return names, [int(entry[len(name) :]) for entry, name in zip(entries, names, strict=True)]
