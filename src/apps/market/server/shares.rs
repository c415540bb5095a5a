//! The companies and coins of the simulated market. All names are invented.

use super::super::wire::{Listing, Sector};

/// A symbol before it has a price.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    pub symbol: &'static str,
    pub names: (&'static str, &'static str),
    pub sector: Sector,
    /// The price that it wanders about, in units of its scale.
    pub base: u64,
    pub scale: u8,
    /// How often it is traded, beside the others.
    pub liquidity: u32,
}

impl Share {
    pub fn listing(&self) -> Listing {
        Listing {
            symbol: self.symbol.to_owned(),
            names: (self.names.0.to_owned(), self.names.1.to_owned()),
            sector: self.sector,
            scale: self.scale,
            least: self.scale,
            lots: 0,
        }
    }

    /// The smallest step between two prices: finer for cheap shares, as exchanges have it.
    pub const fn step(&self, price: u64) -> u64 {
        if self.scale > 0 {
            return 1;
        }
        match price {
            ..2_000 => 1,
            2_000..5_000 => 5,
            5_000..20_000 => 10,
            20_000..50_000 => 50,
            50_000..200_000 => 100,
            200_000..500_000 => 500,
            _ => 1_000,
        }
    }
}

const fn share(
    symbol: &'static str,
    names: (&'static str, &'static str),
    sector: Sector,
    base: u64,
    scale: u8,
    liquidity: u32,
) -> Share {
    Share {
        symbol,
        names,
        sector,
        base,
        scale,
        liquidity,
    }
}

use Sector::{Cars, Chips, Coins, Energy, Finance, Food, Games, Health};

pub const SHARES: [Share; 56] = [
    share("hnb", ("한누리반도체", "Hannuri Semiconductor"), Chips, 84_300, 0, 30),
    share("mrd", ("미리내디스플레이", "Mirinae Display"), Chips, 21_750, 0, 12),
    share("grm", ("가람메모리", "Garam Memory"), Chips, 168_400, 0, 22),
    share("nvc", ("노바회로", "Novacircuit"), Chips, 45_250, 0, 9),
    share("dps", ("다온파운드리", "Daon Foundry"), Chips, 61_900, 0, 11),
    share("sls", ("슬기센서", "Seulgi Sensors"), Chips, 8_640, 0, 5),
    share("opx", ("온빛광학", "Onbit Optics"), Chips, 33_800, 0, 6),
    share("brm", ("바람모터스", "Baram Motors"), Cars, 214_500, 0, 18),
    share("gil", ("길동무자동차", "Gildongmu Auto"), Cars, 97_200, 0, 14),
    share("dlt", ("달무리타이어", "Dalmuri Tire"), Cars, 41_050, 0, 6),
    share("tgd", ("튼튼부품", "Teunteun Parts"), Cars, 12_480, 0, 5),
    share("eon", ("이온셀배터리", "Ioncell Battery"), Cars, 372_500, 0, 20),
    share("jdn", ("자드락물류", "Jadrak Logistics"), Cars, 6_310, 0, 4),
    share("wng", ("윙로봇", "Wing Robotics"), Cars, 58_700, 0, 8),
    share("nrb", ("누리은행", "Nuri Bank"), Finance, 52_600, 0, 12),
    share("hmc", ("한마음캐피탈", "Hanmaum Capital"), Finance, 14_920, 0, 6),
    share("dnl", ("든든생명", "Deundeun Life"), Finance, 78_300, 0, 7),
    share("sdm", ("새담증권", "Saedam Securities"), Finance, 9_870, 0, 9),
    share("gmp", ("금빛페이", "Geumbit Pay"), Finance, 27_350, 0, 13),
    share("mrc", ("마루카드", "Maru Card"), Finance, 38_150, 0, 5),
    share("otr", ("온터리츠", "Onteo REIT"), Finance, 5_420, 0, 3),
    share("hlb", ("한볕바이오랩", "Hanbyeot Biolab"), Health, 132_800, 0, 12),
    share("cng", ("청너울제약", "Cheongneoul Pharma"), Health, 64_100, 0, 8),
    share("mdi", ("메디결", "Medigyeol"), Health, 18_340, 0, 6),
    share("gnx", ("지녹스유전체", "Genox Genomics"), Health, 11_260, 0, 7),
    share("dwn", ("다원의료기", "Dawon Devices"), Health, 29_900, 0, 4),
    share("vtb", ("비타봄", "Vitabom"), Health, 7_730, 0, 4),
    share("skh", ("새결헬스", "Saegyeol Health"), Health, 3_945, 0, 3),
    share("htb", ("햇볕솔라", "Haetbyeot Solar"), Energy, 24_600, 0, 9),
    share("prd", ("푸른들에너지", "Pureundeul Energy"), Energy, 19_880, 0, 7),
    share("hdg", ("한돌가스", "Handol Gas"), Energy, 36_450, 0, 4),
    share("sso", ("수소온", "Susoon Hydrogen"), Energy, 13_710, 0, 8),
    share("gnw", ("거센바람발전", "Geosen Wind"), Energy, 4_785, 0, 5),
    share("hnj", ("한결전력", "Hangyeol Power"), Energy, 22_350, 0, 6),
    share("mtl", ("미틈철강", "Miteum Steel"), Energy, 47_900, 0, 6),
    share("oga", ("온가족식품", "Ongajok Foods"), Food, 312_000, 0, 5),
    share("srn", ("시루네", "Sirune"), Food, 9_120, 0, 4),
    share("bdg", ("바다결수산", "Badagyeol Fisheries"), Food, 2_865, 0, 3),
    share("msm", ("맛샘", "Matsaem"), Food, 71_500, 0, 5),
    share("chd", ("찻잎다방", "Chatnip Cafe"), Food, 15_640, 0, 6),
    share("nol", ("놀부엌", "Nolbueok Kitchen"), Food, 6_020, 0, 3),
    share("ppg", ("포근유통", "Pogeun Retail"), Food, 43_300, 0, 6),
    share("drg", ("도란게임즈", "Doran Games"), Games, 186_200, 0, 11),
    share("byl", ("별마루엔터", "Byeolmaru Entertainment"), Games, 54_800, 0, 12),
    share("ngd", ("나길다스튜디오", "Nagilda Studio"), Games, 16_950, 0, 7),
    share("ydm", ("얘기더미웹툰", "Yaegi Webtoons"), Games, 31_200, 0, 6),
    share("slr", ("소리랑뮤직", "Sorirang Music"), Games, 88_400, 0, 9),
    share("mxv", ("믹스버스", "Mixverse"), Games, 4_370, 0, 6),
    share("kkb", ("꾸러기방송", "Kkureogi TV"), Games, 12_990, 0, 4),
    share("dra-usd", ("두루코인", "Duru Coin"), Coins, 6_432_150, 2, 34),
    share("hae-usd", ("해솔", "Haesol"), Coins, 342_780, 2, 26),
    share("byt-usd", ("별토큰", "Byeol Token"), Coins, 18_425, 2, 18),
    share("mru-usd", ("미루", "Miru"), Coins, 52_310, 4, 16),
    share("gom-usd", ("곰코인", "Gom Coin"), Coins, 1_284, 4, 20),
    share("nbi-usd", ("나비체인", "Nabi Chain"), Coins, 78_640, 4, 12),
    share("sal-usd", ("살구", "Salgu"), Coins, 3_915, 4, 9),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::wire::is_symbol;
    use super::*;

    #[test]
    fn every_share_has_a_name_of_its_own_and_a_price() {
        let symbols: BTreeSet<_> = SHARES.iter().map(|share| share.symbol).collect();
        let names: BTreeSet<_> = SHARES.iter().flat_map(|share| [share.names.0, share.names.1]).collect();
        assert_eq!((symbols.len(), names.len()), (SHARES.len(), 2 * SHARES.len()));
        assert!(SHARES.len() > 50);
        for share in SHARES {
            assert!(
                is_symbol(share.symbol) && share.base >= 100 && share.liquidity > 0,
                "{share:?}"
            );
        }
        for sector in Sector::ALL {
            assert_eq!(SHARES.iter().filter(|share| share.sector == sector).count(), 7);
        }
    }
}
